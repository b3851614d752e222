"""Fixed requests for a time when nobody asks. Standard library only."""

import json
import os
import re
import statistics
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from health import MAX_PAGE_BYTES, ask, default_url
from measure import Measure
from records import UnreadableError, text_of
from settings import setting

FILE = Path("probes.txt")
LINE = re.compile(r"GET (/\S*)")
MOST_ROUTES, TIMEOUT_SECONDS = 20, 30.0
# Of each percentile the best round counts: what else the machine does only adds time.
ROUNDS, REQUESTS = 5, 10


def probes(folder: Path = Path(), url: str | None = None) -> list[str]:
    """Paths to ask: the lines of probes.txt, else each route of the contracts that wants no argument.

    `folder` is the service's, `url` its address.

    Raises:
        UnreadableError: a line is no request, or a contract is none.
    """
    file = folder / FILE
    if not file.exists():
        return [path for version, document in _contracts(folder, url) for path in _open(version, document)][
            :MOST_ROUTES
        ]
    found = []
    for number, line in enumerate(text_of(file).splitlines(), 1):
        text = line.partition(" #")[0].strip()
        if match := LINE.fullmatch(text):
            found.append(match[1])
        elif text and not text.startswith("#"):
            raise UnreadableError(
                f"{FILE}:{number}", f"{text!r} is no request; expected such as GET /v1/items?limit=20"
            )
    return found


def _contracts(folder: Path, url: str | None) -> Iterator[tuple[str, bytes]]:
    """Each version with its contract: as recorded, else as the service shows it where it has /docs."""
    recorded = sorted((folder / "contract").glob("v*/openapi.json"))
    if recorded:
        yield from ((path.parent.name, path.read_bytes()) for path in recorded)
        return
    url = url or default_url().removesuffix("/readyz")
    with suppress(OSError, HTTPException, ValueError, KeyError, TypeError):
        for version in json.loads(ask(f"{url}/health", {})[1])["data"]["api_versions"]:
            status, document = ask(f"{url}/{version}/openapi.json", headers(), MAX_PAGE_BYTES)
            if status == 200:
                yield version, document


def _open(version: str, document: bytes) -> Iterator[str]:
    """The GET routes that need no argument, and no token but TOKEN."""
    try:
        routes = json.loads(document)["paths"]
        asked = {path: operations["get"] for path, operations in routes.items() if "get" in operations}
        for path, operation in asked.items():
            needs_argument = "{" in path or any(one.get("required") for one in operation.get("parameters", []))
            if not needs_argument and (os.environ.get("TOKEN") or not operation.get("security")):
                yield f"/{version}{path.removeprefix(f'/{version}')}"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(f"contract of {version}", f"is none ({error}); expected an OpenAPI document") from None


def headers() -> dict[str, str]:
    """What a request of ours has: TOKEN as bearer, and a name that the service lets in."""
    token, hosts = (
        os.environ.get("TOKEN", ""),
        setting("SECURITY_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(","),
    )
    host = next((name.strip() for name in hosts if name.strip() and "*" not in name), "")
    return ({"Authorization": f"Bearer {token}"} if token else {}) | ({"Host": host} if host else {})


def status_in(path: str, url: str, seconds: float) -> int | None:
    """The status of one answer, None where it is not whole within so long.

    Raises:
        OSError, HTTPException: the service does not answer.
    """
    until = time.monotonic() + seconds
    connection = HTTPConnection(urlsplit(url).netloc, timeout=seconds)
    try:
        connection.request("GET", path, headers=headers())
        answer = connection.getresponse()
        while answer.read1(MAX_PAGE_BYTES):
            if time.monotonic() > until:
                return None
    except TimeoutError:
        return None
    finally:
        connection.close()
    return answer.status


def probe(path: str, url: str | None = None) -> Measure:
    """Ask one path 50 times over one connection, as whoever has TOKEN.

    Raises:
        OSError, HTTPException: the service does not answer.
        UnreadableError: a limit refuses the requests.
    """
    seconds: list[float] = []
    failed, sent = 0, headers()
    connection = HTTPConnection(urlsplit(url or default_url()).netloc, timeout=TIMEOUT_SECONDS)
    try:
        for _ in range(ROUNDS * REQUESTS):
            begun = time.perf_counter()
            connection.request("GET", path, headers=sent)
            answer = connection.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - begun)
            failed += answer.status >= 500
            if answer.status == 429:
                raise UnreadableError(
                    f"GET {path}", "is refused with 429; expected a limit that lets 50 more requests in"
                )
    finally:
        connection.close()
    rounds = [seconds[begin : begin + REQUESTS] for begin in range(0, len(seconds), REQUESTS)]
    cuts = [statistics.quantiles(one, n=100, method="inclusive") for one in rounds]
    p50, p95, p99 = (min(cut[share - 1] for cut in cuts) for share in (50, 95, 99))
    return Measure(len(seconds), failed, p50, p95, p99)
