"""Asks the service whether it is ready: a container's health check, the wait after a start. Standard library.

Usage: python3 ops/health.py [--url URL] [--wait SECONDS]
Exit codes: 0 ready, 1 not ready or not there, 2 wrong use, or the answer is not this service's.
"""

import argparse
import http.client
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PROBE_TIMEOUT_SECONDS = 3.0
PAUSE_SECONDS = 0.2


def setting(name: str, default: str) -> str:
    """A setting from the environment, else from the file that ENV_FILE names (`.env`), else `default`."""
    if name in os.environ:
        return os.environ[name] or default
    path = Path(os.environ.get("ENV_FILE", ".env"))
    text = path.read_text("utf-8", "replace") if path.is_file() else ""
    found = re.findall(rf"^\s*(?:export\s+)?{name}\s*=\s*([^\s#]*)", text, re.MULTILINE | re.IGNORECASE)
    return (found[-1].strip("'\"") if found else "") or default


def default_url() -> str:
    """`/readyz` of the service that the settings describe; `0.0.0.0` is asked on this machine."""
    host = setting("HOST", "127.0.0.1")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{setting('PORT', '8000')}/readyz"


def probe(url: str) -> tuple[int, str]:
    """Asks once, past any proxy, and returns the exit code and one line for the reader."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=PROBE_TIMEOUT_SECONDS) as answer:
            status, body = answer.status, answer.read(65536)
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read(65536)
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


def main(arguments: list[str] | None = None) -> int:
    """Probes until ready or until `--wait` seconds have passed; prints the last answer."""
    parser = argparse.ArgumentParser(description="Ask the service whether it is ready.")
    parser.add_argument("--url", default=default_url(), help="what to ask (default: %(default)s)")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="keep asking so long")
    options = parser.parse_args(arguments)
    if not options.url.startswith(("http://", "https://")):
        parser.error("--url must start with http:// or https://")
    deadline = time.monotonic() + options.wait
    code, line = probe(options.url)
    while code != 0 and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        code, line = probe(options.url)
    print(line, file=sys.stdout if code == 0 else sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
