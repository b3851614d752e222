"""Asks the service whether it is ready: a container's health check, the wait after a start. Standard library.

Usage: python3 ops/health.py [--url URL] [--wait SECONDS]
       python3 ops/health.py [--url URL] --show PATH [--request-id ID]   prints what the same service answers there
Exit codes: 0 ready, 1 not ready or not there, 2 wrong use, or the answer is not this service's.
With --show: 0 the answer is a success, 1 it is not, or there is none, 2 wrong use.
"""

import argparse
import http.client
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from settings import setting

PROBE_TIMEOUT_SECONDS = 3.0
PAUSE_SECONDS = 0.2
MAX_BYTES = 65536
MAX_PAGE_BYTES = 16 << 20


def default_url() -> str:
    """`/readyz` of the service that the settings describe; `0.0.0.0` is asked on this machine.

    Raises:
        ValueError: PORT is none.
    """
    host = setting("HOST", "127.0.0.1")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    port = setting("PORT", "8000")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError(f"PORT: {port!r} is no port; expected such as 8000")
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/readyz"


def ask(url: str, headers: dict[str, str], most: int = MAX_BYTES) -> tuple[int, bytes]:
    """Asks once, past any proxy, and returns status and the first `most` bytes of the body.

    Raises:
        OSError, ValueError, HTTPException: there is no answer.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  # http, or main refuses it
    try:
        with opener.open(request, timeout=PROBE_TIMEOUT_SECONDS) as answer:
            return answer.status, answer.read(most)
    except urllib.error.HTTPError as error:
        return error.code, error.read(most)


def probe(url: str) -> tuple[int, str]:
    """Asks `url` whether the service is ready and returns the exit code and one line for the reader."""
    try:
        status, body = ask(url, {})
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        return 1, f"not ready: {url} does not answer ({reason})"
    try:
        envelope = json.loads(body)
        if status == 200 and envelope["data"]["ok"] is True:
            return 0, f"ready: {url}"
        checks = envelope.get("data", {}).get("checks", [])
        failing = [f"{check['name']}: {check['detail']}" for check in checks if not check["ok"]]
        return 1, f"not ready: {url} answered {status}: {'; '.join(failing) or envelope['error']['detail']}"
    except (ValueError, KeyError, TypeError, AttributeError):
        return 2, f"cannot tell: {url} answered {status}, but not as this service does"


def show(url: str, request_id: str | None) -> tuple[int, str]:
    """Asks `url`, /metrics as an operator, and returns the exit code and the body as it came."""
    headers = {"X-Request-ID": request_id} if request_id else {}
    if url.endswith("/metrics") and (token := setting("OPERATIONS_TOKEN", "")):
        headers["Authorization"] = f"Bearer {token}"
    try:
        status, body = ask(url, headers, MAX_PAGE_BYTES)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return 1, f"{url} does not answer ({getattr(error, 'reason', None) or error})"
    return int(status >= 400), body.decode("utf-8", "replace").rstrip("\n")


def main(arguments: list[str] | None = None) -> int:
    """Probes until ready or until `--wait` seconds have passed; prints the last answer."""
    parser = argparse.ArgumentParser(description="Ask the service whether it is ready.")
    parser.add_argument("--url", help="what to ask (default: /readyz at HOST and PORT)")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="keep asking so long")
    parser.add_argument("--show", metavar="PATH", help="print what the service answers there, such as /health")
    parser.add_argument("--request-id", metavar="ID", help="with --show: the X-Request-ID to send")
    options = parser.parse_args(arguments)
    try:
        options.url = options.url or default_url()
    except ValueError as error:
        parser.error(str(error))
    if not options.url.startswith(("http://", "https://")):
        parser.error("--url must start with http:// or https://")
    if options.show:
        code, line = show(urllib.parse.urljoin(options.url, options.show), options.request_id)
        print(line)
        return code
    deadline = time.monotonic() + options.wait
    code, line = probe(options.url)
    while code != 0 and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        code, line = probe(options.url)
    print(line, file=sys.stdout if code == 0 else sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
