"""`make rehearse` of a rendered service: the real commands on a copy, and an honest count of what was not rehearsed."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import scratch
import scratch_settings
from deployed import Deployed, service

TOKEN = "the-real-token-of-operations"  # noqa: S105 - a value to look for
PRODUCTION = {"ENVIRONMENT": "production", "OPERATIONS_TOKEN": TOKEN, "SECURITY_ALLOWED_HOSTS": "orders.example.com"}
PRODUCTION |= {"QUEUE_URL": "amqp://queue.example.com/orders", "NUMBERS": r"\d+"}
OWN, SUITE = "src/app/settings.py", "tests/service.py"
GIVEN = 'import os\n\nos.environ |= {"QUEUE_URL": "none", "NUMBERS": "1"}\n'


@pytest.fixture(scope="module")
def owned(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Return a service in production's settings, with one row, and with settings of its own that must be given."""
    with service(installed, tmp_path_factory.mktemp("rehearsed") / "a service", **PRODUCTION) as one:
        settings, suite = one.read(OWN), one.read(SUITE)
        one.commit("0.1.0", {OWN: f"{settings}\n    queue_url: str\n    numbers: str\n", SUITE: f"{GIVEN}{suite}"})
        for command in (["make", "keys", "ARGS=new"], ["make", "migrate"]):
            subprocess.run(command, cwd=one.folder, env=one.environment, check=True, capture_output=True)
        yield one


def rehearse(owned: Deployed, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the program as an operator does."""
    command, env = ["python3", "ops/rehearse.py", *arguments], owned.environment | environment
    return subprocess.run(command, cwd=owned.folder, env=env, capture_output=True, text=True, timeout=900)


@pytest.mark.parametrize(
    "only",
    [
        ["deployments", "Start", "The disk is full", "The contract was broken", "Rehearse a migration"],
        pytest.param([], marks=pytest.mark.soak),
    ],
)
def test_rehearsal_does_the_real_thing_and_leaves_nothing(owned: Deployed, only: list[str]) -> None:
    """Deployments, broken ones, rollbacks, procedures on a copy without a secret; a report alone is left."""
    keys = owned.read("var/keys.json")
    done = rehearse(owned, *(["--only", *only] if only else []), DEPLOY_DRIVER="compose")
    assert done.returncode == 0, done.stdout + done.stderr
    path = owned.folder / re.search(r"^report: (\S+)$", done.stdout, re.MULTILINE)[1]
    report = json.loads(path.read_text())
    rehearsed = {one["name"]: one["is_good"] for one in report["items"]}
    named = {
        "rows of the service",
        "first deployment",
        "second deployment",
        "third deployment",
        "version that ends at its start is refused",
        "version that is ready and fails when asked is refused",
        "warm rollback",
        "cold rollback",
        "stop",
        "Start",
        "The disk is full",
        "The contract was broken",
        "Rehearse a migration",
    }
    assert {name: rehearsed.get(name) for name in named} == dict.fromkeys(named, True)
    assert only == [] or set(rehearsed) == named | {"deployments by compose"}
    assert "not rehearsed: deployments by compose: the copy's slots are processes\n" in done.stdout
    count = f"{len([one for one in rehearsed.values() if one is not None])} of {len(rehearsed)} rehearsed, 0 FAIL\n"
    assert done.stdout.endswith(count)
    assert report["differences"]["OPERATIONS_TOKEN"] == "its name in place of the secret"  # noqa: S105 - no secret
    assert report["differences"]["QUEUE_URL"] == "a place where nobody is: the service must have one"
    assert report["items"][0]["seconds"] > 0
    assert TOKEN not in done.stdout + path.read_text()
    assert {one.name for one in (owned.folder / "var/rehearsal").iterdir()} == {".lock", path.name}
    path.unlink()
    assert (owned.processes(), owned.read("var/keys.json"), (owned.folder / "var/deploy").exists()) == (
        set(),
        keys,
        False,
    )


@pytest.mark.parametrize(
    ("arguments", "file", "told"),
    [
        (("--only", "Fly"), None, "'Fly' is no procedure; expected deployments, or a name as `make runbook` lists it"),
        ((), "notes.txt", "nothing was rehearsed: 1 files are in no commit, such as notes.txt; expected one"),
    ],
)
def test_rehearsal_that_cannot_be_held_says_why(
    owned: Deployed, arguments: tuple[str, ...], file: str | None, told: str
) -> None:
    """One message, exit status 2, nothing left."""
    if file:
        (owned.folder / file).write_text("")
    done = rehearse(owned, *arguments)
    if file:
        (owned.folder / file).unlink()
    assert (done.returncode, told in done.stderr) == (2, True), done.stderr
    assert not (owned.folder / "var/rehearsal/copy").exists()


def test_copy_has_no_secret_that_is_no_setting_and_touches_nothing_of_the_service(
    owned: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that the service does not know may be a secret; what the operator's shell says is of the service."""
    monkeypatch.chdir(owned.folder)
    monkeypatch.setenv("DEPLOY_DRIVER", "compose")  # its containers would be the service's own
    differences = {}
    copied = scratch_settings.settings_of_copy({"CLOUD_ACCESS_KEY": TOKEN, "LOG_LEVEL": "info"}, differences)
    assert (copied.pop("LOG_LEVEL"), set(copied)) == ("info", {"PORT", "DEPLOY_PORTS"})
    assert differences["CLOUD_ACCESS_KEY"] == "left out: no setting of the service, so it may be a secret"
    seen = []
    monkeypatch.setattr(scratch.Scratch, "run", lambda self, *_: seen.append(self.environment))
    Path("var/rehearsal/copy").mkdir(parents=True)
    scratch.cleared()
    assert [each.get("DEPLOY_DRIVER") for each in seen] == [None, None]


def test_failing_procedure_is_counted_and_named(owned: Deployed) -> None:
    """A page that promises what does not happen makes the rehearsal fail, and its line is told."""
    page = owned.folder / "docs/runbook/odd.md"
    page.write_text(
        "# Runbook: odd\n\n- **Owner:** us (#us)\n\n## Odd\n\n- **When:** never.\n- **Risk:** reads only.\n"
        "- **Expected:** nothing.\n- **Rollback:** none needed.\n\n```console\n$ echo something else\nthis\n```\n"
    )
    owned.commit("0.1.1")
    done = rehearse(owned, "--only", "Odd")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "2 of 2 rehearsed, 1 FAIL: Odd"), done.stdout
    assert rehearse(owned, "--clear").stdout == "nothing was left in var/rehearsal/copy\n"
    told = r"^FAIL: Odd, [\d.]+ s: not what docs/runbook/odd\.md:13 says; found: something else \| \[0\]$"
    assert re.search(told, done.stdout, re.MULTILINE)
