"""docs/chassis/versions.md as a team would live it: v2 beside v1, v1 announced to end, v1 deleted."""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import ROOT, TEAM_TESTS, share
from serving import ask, run, served

PAGE = (ROOT / "template/docs/chassis/versions.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def service(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a service with a v2 that was begun from v1, and a v1 that is announced to end."""
    folder = share(installed, tmp_path_factory.mktemp("versions") / "a service")
    run(folder, "make", "migrate")
    said = run(folder, ".venv/bin/python", "-m", "app", "api", "new-version")
    assert said.splitlines()[0] == "wrote src/app/api/v2/__init__.py"
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with (folder / "src/app/api/v1/__init__.py").open("a") as file:
        file.write("\n" + code)
    return folder


def test_two_versions_answer_and_the_old_one_says_it_ends(service: Path) -> None:
    """Path or header chooses; v1 tells when it ends in every answer and in its contract; /docs leads to both."""
    with served(service) as address:
        for old in (
            ask(address, "/v1/items"),
            ask(address, "/items"),
            ask(address, "/v1/items/9"),
            ask(address, "/v1/nothing"),
        ):
            headers = old[1]
            assert headers["x-api-version"] == "v1"
            assert headers["deprecation"] == "@1893456000"
            assert headers["sunset"] == "Mon, 01 Jul 2030 00:00:00 GMT"
            assert '</v2>; rel="successor-version"' in headers["link"]
        for new in (ask(address, "/v2/items"), ask(address, "/items", X_API_Version="v2")):
            assert (new[0], new[1]["x-api-version"], "deprecation" in new[1]) == (200, "v2", False)
        assert b'api_deprecated_requests_total{api_version="v1"} 4.0' in ask(address, "/metrics")[2]
        contracts = [json.loads(ask(address, f"/{name}/openapi.json")[2]) for name in ("v1", "v2")]
        marked = [contract["paths"]["/items"]["get"].get("deprecated", False) for contract in contracts]
        assert marked == [True, False]
        for path, shown in (("/docs", b"v2"), ("/docs?version=v1", b"v1")):
            page = ask(address, path)[2]
            assert b'data-contract="/%b/openapi.json"' % shown in page
            assert [name for name in (b"v1", b"v2") if b'href="/docs?version=%b"' % name in page] == [b"v1", b"v2"]
    lines = [json.loads(line) for line in (service / "service.log").read_text().splitlines()]
    assert len([line for line in lines if line["event"] == "deprecated API version used"]) == 1


def test_service_holds_with_both_and_after_the_old_one_is_deleted(service: Path) -> None:
    """Checks and tests are green with two versions; deleting a folder ends a version, and nothing else."""
    run(service, "make", "check")
    run(
        service,
        "make",
        "test",
        "ARGS=-q -k 'not postgresql' tests/items tests/chassis/test_routes.py tests/chassis/test_versions.py",
    )
    shutil.rmtree(service / "src/app/api/v1")
    run(service, "make", "check")
    run(service, "make", "test", f"ARGS=-q -k 'not postgresql' tests/items tests/accounts {TEAM_TESTS}")
    with served(service) as address:
        status, _, body = ask(address, "/v1/items")
        error = json.loads(body)["error"]
        assert (status, error["code"], error["expected"]) == (410, "api_version_sunset", "one of: v2")
        assert ask(address, "/items")[1]["x-api-version"] == "v2"


@pytest.mark.soak
def test_soak_service_passes_whole_after_the_old_version_is_deleted(service: Path) -> None:
    """Also those tests that ask routes of their own."""
    shutil.rmtree(service / "src/app/api/v1", ignore_errors=True)
    run(service, "make", "test")
