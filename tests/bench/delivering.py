"""What a proxy before the service costs a request, and how long a deployment and a way back take."""

import json
import re
import shutil
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clocks import cpu_ns
from load import drive, request_bytes
from report import Row
from service import BENCH, CannotMeasureError, environment, free_port, run

__all__ = ["deployments"]

_REQUEST = request_bytes("GET", "/v1/bench/items/1")


def deployments(service: Path, rounds: int, count: int) -> list[Row]:
    """Deploy the service three times behind nginx and go back, warm and cold; nothing where there is no nginx."""
    if not shutil.which("nginx", path=environment()["PATH"] + ":/usr/sbin:/usr/local/sbin"):
        print("deploy: not measured; found no nginx, expected it as the system packages it", file=sys.stderr)
        return []
    with _committed(service) as folder:
        for version in ("0.1.0", "0.2.0", "0.3.0"):
            _deploy(folder, version)
        rows = [_through_proxy(folder, rounds, count)]
        for _ in range(2):  # the first finds the release before still running, the second starts an older one
            run("python3", "ops/deploy.py", "rollback", cwd=folder)
        lines = [json.loads(line) for line in (folder / "var/deploys.jsonl").read_text("utf-8").splitlines()]
    warm, cold = (line["seconds"] for line in lines[-2:])
    done = statistics.median(line["seconds"] for line in lines[1:3])
    return [
        *rows,
        Row("make deploy, nobody asking", done, "s", note="its environment from uv's cache"),
        Row("rollback to the release that is warm", warm, "s", 1.0),
        Row("rollback to one that is cold", cold, "s", 5.0),
    ]


@contextmanager
def _committed(service: Path) -> Iterator[Path]:
    folder = BENCH / "deployed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(service, folder, symlinks=True, ignore=shutil.ignore_patterns(".venv", "var", ".git"))
    ports = [free_port() for _ in range(3)]
    (folder / ".env").write_text(
        f"HOST=127.0.0.1\nPORT={ports[0]}\nDEPLOY_PORTS={ports[1]},{ports[2]}\nDEPLOY_WATCH_SECONDS=0\n"
        "RATE_LIMIT_DEFAULT=1000000/minute\nSERVER_DRAIN_SECONDS=0\n",
        encoding="utf-8",
    )
    run("git", "init", "--quiet", cwd=folder)
    try:
        yield folder
    finally:
        run("python3", "ops/deploy.py", "down", cwd=folder)


def _deploy(folder: Path, version: str) -> None:
    for name, line in (("pyproject.toml", "version"), ("uv.lock", 'name = "example-service"\nversion')):
        text = (folder / name).read_text("utf-8")
        text = re.sub(rf'^{line} = ".*"', f'{line} = "{version}"', text, count=1, flags=re.MULTILINE)
        (folder / name).write_text(text, "utf-8")
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.invalid")
    run("git", "add", "--all", cwd=folder), run("git", *who, "commit", "--quiet", "-m", version, cwd=folder)
    run("python3", "ops/deploy.py", "deploy", cwd=folder)


def _through_proxy(folder: Path, rounds: int, count: int) -> Row:
    """Processor time of nginx and the service together, by the service's own where it is asked past the proxy."""
    settings = dict(line.split("=", 1) for line in (folder / ".env").read_text("utf-8").splitlines())
    slot = json.loads((folder / "var/deploy/state.json").read_text("utf-8"))["active"]
    slots = dict(zip(("blue", "green"), map(int, settings["DEPLOY_PORTS"].split(",")), strict=True))
    serving, proxy = (int((folder / f"var/deploy/{name}.pid").read_text()) for name in (slot, "proxy"))
    workers = [int(pid) for pid in Path(f"/proc/{proxy}/task/{proxy}/children").read_text().split()]
    if not workers:
        raise CannotMeasureError(f"found no worker of nginx, expected some below process {proxy}")
    found = []
    for number in range(rounds + 1):
        cost = {}
        for port in (int(settings["PORT"]), slots[slot])[:: 1 if number % 2 else -1]:
            before = sum(map(cpu_ns, (serving, *workers)))
            drive(port, _REQUEST, count, 200)
            cost[port] = (sum(map(cpu_ns, (serving, *workers))) - before) / count / 1000
        found.append((cost[int(settings["PORT"])], cost[slots[slot]]))
    behind, past = (statistics.median(side) for side in zip(*found[1:], strict=True))  # the first warms up
    ratio = statistics.median(one / other for one, other in found[1:])
    note = f"{behind:.1f} / {past:.1f} us of nginx and service together"
    return Row("GET one item behind the proxy, processor", ratio, "behind / past", note=note)
