"""`/docs` of a rendered service in a real browser, to which every host but the service is unknown."""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Render, share
from playwright.sync_api import BrowserContext, Locator, Page, expect, sync_playwright
from serving import ask, run, served
from tools import require

NAME = "docs/chassis/docs-page"
HOST = "orders.example"  # not localhost, which a browser allows more than any other
ABOUT = (ROOT / f"template/{NAME}.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def service(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a service that is set up, with an empty database."""
    folder = share(installed, tmp_path_factory.mktemp("docs page") / "a service")
    run(folder, "make", "migrate")
    return folder


@pytest.fixture(scope="module")
def address(service: Path) -> Iterator[str]:
    """Run the service and return where; the browser knows it by the name of HOST."""
    with served(service, SECURITY_ALLOWED_HOSTS=f"{HOST},127.0.0.1") as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """Start the browser with a home of its own, so that it neither reads nor leaves anything elsewhere."""
    program = require("chromium")
    home = tmp_path_factory.mktemp("browser")
    # Below TMPDIR the browser binds a socket, whose path may have 107 bytes: as seen from here it is short.
    environment = {"HOME": str(home), "TMPDIR": os.path.relpath(home), "PATH": os.environ["PATH"]}
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            home / "profile",
            executable_path=program,
            # No internet, whatever this machine has: no other name is found, and no other address.
            args=[f"--host-resolver-rules=MAP {HOST} 127.0.0.1, MAP * ~NOTFOUND"],
            env=environment,
            viewport={"width": 1100, "height": 1500},  # an answer is seen without scrolling, and in the picture
        )
        context.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        yield context
        context.close()


@dataclass
class Watched:
    """A page of the browser, and all it asked of others and complained of since it was opened."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


@pytest.fixture
def docs(browser: BrowserContext, address: str) -> Iterator[Watched]:
    """Open `/docs` in a new page that was watched from the start, and wait until it shows its operations."""
    docs = Watched(browser.new_page())
    told = docs.complaints.append
    docs.page.on("console", lambda line: line.type in {"error", "warning"} and told(f"{line.type}: {line.text}"))
    docs.page.on("pageerror", lambda error: told(f"exception: {error}"))
    docs.page.on("requestfailed", lambda request: told(f"{request.failure}: {request.url}"))
    origin = f"http://{address.replace('127.0.0.1', HOST)}/"
    docs.page.on("request", lambda request: request.url.startswith(origin) or docs.foreign.append(request.url))
    opened = docs.page.goto(f"{origin}docs")
    assert opened is not None
    assert opened.status == 200
    expect(docs.page.locator(".opblock-summary").last).to_be_visible()  # the last that the page makes
    yield docs
    docs.page.close()


def authorize(docs: Watched, service: Path) -> None:
    """Give the page a token, as a developer does."""
    docs.page.get_by_role("button", name="Authorize").click()
    form = docs.page.locator(".auth-container")
    form.locator("input").fill(run(service, "make", "-s", "token").strip())
    form.get_by_role("button", name="Apply credentials").click()
    form.get_by_role("button", name="Close").click()


def operation(docs: Watched, method: str, path: str) -> Locator:
    """Find an operation on the page and open it for a try."""
    summary = docs.page.locator(f'.opblock-summary-{method}:has([data-path="{path}"])')
    found = docs.page.locator(".opblock", has=summary)
    summary.locator(".opblock-summary-control").click()
    found.get_by_role("button", name="Try it out").click()
    return found


def execute(docs: Watched, operation: Locator) -> tuple[int, dict[str, Any]]:
    """Send what is filled in; return the status and the body that the page shows as the answer."""
    with docs.page.expect_response("**/v1/**") as answer:
        operation.get_by_role("button", name="Execute", exact=True).click()
    shown = operation.locator(".live-responses-table .response")
    body = shown.locator(".highlight-code code").first
    expect(body).to_contain_text(answer.value.headers["x-request-id"])  # not the answer before this one
    assert shown.locator(".response-col_status").inner_text().split() == [str(answer.value.status)]
    return answer.value.status, json.loads(body.inner_text())


def test_docs_page_shows_every_operation(docs: Watched, address: str) -> None:
    """Without internet and under its own policy the page is complete, silent, and asks nobody but the service."""
    contract = json.loads(ask(address, "/v1/openapi.json")[2])
    declared = sorted((path, method.upper()) for path, methods in contract["paths"].items() for method in methods)
    expect(docs.page.locator(".opblock-summary")).to_have_count(len(declared))
    shown = [
        (row.locator("[data-path]").get_attribute("data-path"), row.locator(".opblock-summary-method").inner_text())
        for row in docs.page.locator(".opblock-summary").all()
    ]
    assert sorted(shown) == declared
    assert docs.page.title() == "Example Service v1"
    assert docs.complaints + docs.foreign == []


def test_docs_page_sends_a_request_and_shows_the_envelope(docs: Watched, service: Path) -> None:
    """Authorize, Try it out, Execute: the example creates an item, the list has it, both as `data` and `meta`."""
    authorize(docs, service)
    status, created = execute(docs, operation(docs, "post", "/items"))
    assert (status, set(created), created["meta"]["api_version"]) == (201, {"data", "meta"}, "v1")
    docs.page.locator('.opblock-summary-post:has([data-path="/items"]) .opblock-summary-control').click()
    status, listed = execute(docs, operation(docs, "get", "/items"))
    assert (status, set(listed), listed["data"]) == (200, {"data", "meta"}, [created["data"]])
    assert docs.complaints + docs.foreign == []
    if picture := os.environ.get("PICTURE"):  # CONTRIBUTING.md: how the one in the docs is taken
        docs.page.screenshot(path=picture, animations="disabled")


def test_docs_page_shows_a_refusal_as_its_envelope(docs: Watched, service: Path) -> None:
    """A bad body gets the `error` envelope, on the page as anywhere; only the browser itself remarks on the 422."""
    authorize(docs, service)
    creation = operation(docs, "post", "/items")
    creation.locator("textarea").fill('{"name": 1}')
    status, refused = execute(docs, creation)
    assert (status, set(refused)) == (422, {"error", "meta"})
    assert refused["error"]["code"] == "validation_failed"
    assert {field["pointer"] for field in refused["error"]["fields"]} == {"/name", "/contact_email"}
    (remark,) = docs.complaints
    assert remark.startswith("error: Failed to load resource: the server responded with a status of 422")
    assert docs.foreign == []


def test_docs_page_is_held_to_its_policy(docs: Watched) -> None:
    """What is not the service's own is blocked: had the page any of it, the tests above would have seen it."""
    deeds = {
        "script-src": "const s = document.createElement('script'); s.textContent = 'ran = 1'; document.body.append(s)",
        "style-src": "document.body.setAttribute('style', 'display: none')",
        "connect-src": "fetch('http://other.example/').catch(() => 0)",
        "img-src": "new Image().src = 'http://other.example/picture.png'",
    }
    for rule, deed in deeds.items():
        breach = re.compile(f"Content Security Policy.*{rule}")
        with docs.page.expect_console_message(lambda line, breach=breach: breach.search(line.text)) as told:
            docs.page.evaluate(f"() => {{ {deed} }}")
        assert f"error: {told.value.text}" in docs.complaints
    assert docs.page.evaluate("window.ran") is None


def test_docs_page_names_its_policy_and_what_is_not_there(address: str) -> None:
    """The policy is sent as written down; an unknown version is an envelope that names those served."""
    (written,) = re.findall(r"```text\n(.*?)```", ABOUT, re.DOTALL)
    status, headers, _ = ask(address, "/docs")
    assert (status, headers["content-security-policy"]) == (200, " ".join(written.split()))
    status, headers, body = ask(address, "/docs?version=v9")
    answer = json.loads(body)
    assert (status, headers["content-type"], set(answer)) == (404, "application/json", {"error", "meta"})
    assert (answer["error"]["code"], answer["error"]["expected"]) == ("route_not_found", "one of: v1")


def test_docs_page_can_be_turned_off(service: Path) -> None:
    """Without `/docs` and contract nothing else is missing."""
    with served(service, DOCS_ENABLED="false") as address:
        for path in ("/docs", "/docs/start.js", "/v1/openapi.json"):
            status, _, body = ask(address, path)
            assert (status, json.loads(body)["error"]["code"]) == (404, "route_not_found"), path
        assert ask(address, "/v1/items")[0] == 200


def test_picture_of_the_docs_page_arrives_as_it_was_taken(render: Render) -> None:
    """Copier leaves its bytes alone; it is small, and the page about `/docs` shows it."""
    picture = (ROOT / f"template/{NAME}.png").read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(picture) < 120_000
    assert (render() / f"{NAME}.png").read_bytes() == picture
    assert "](docs-page.png)" in ABOUT
