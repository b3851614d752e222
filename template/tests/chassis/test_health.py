"""Probes and metrics: what an orchestrator and an operator ask."""

import asyncio
import re
from pathlib import Path
from typing import Any

from app.chassis.about import project_root
from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate
from app.chassis.database.settings import DatabaseSettings
from app.chassis.testing import Client, Outcome, ServiceProcess, at_once


def test_healthy_service_says_so(client: Client) -> None:
    """All three answers agree, and name the version."""
    assert client.request("GET", "/livez").data == {"ok": True}
    report = client.request("GET", "/health").data
    assert client.request("GET", "/readyz").data == {"ok": True, "version": report["version"], "deploy_id": ""}
    assert report["ok"] is True
    assert {check["name"] for check in report["checks"]} >= {"database", "migrations"}
    assert all(check["ok"] for check in report["checks"])
    assert report["version"]


def _deployment_is_named_by_readiness(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, DEPLOY_ID="20261122T190000Z-1a2b3c4") as service:
        assert service.client().request("GET", "/readyz").data["deploy_id"] == "20261122T190000Z-1a2b3c4"


def _unmigrated_service_lives_but_is_not_ready(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, module="app") as service:
        client = service.client()
        assert client.request("GET", "/livez").status == 200
        unready = client.request("GET", "/readyz")
        if unready.status == 200:
            return  # a service without revisions has nothing to wait for
        assert (unready.status, unready.error["code"], unready.headers["retry-after"]) == (503, "not_ready", "2")
        assert "make migrate" in unready.error["detail"]
        assert client.request("GET", "/health").data["ok"] is False
        asyncio.run(migrate(Database(DatabaseSettings(database_url=f"sqlite+aiosqlite:///{tmp_path}/test.db"))))
        assert client.request("GET", "/readyz").status == 200


def _unusable_database_is_not_ready_and_answers_503(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path) as service:
        client = service.client()
        for file in tmp_path.glob("test.db*"):
            file.write_bytes(b"this is not a database" * 1000)
        assert client.request("GET", "/livez").status == 200
        unready = client.request("GET", "/readyz")
        assert unready.status == 503
        assert str(tmp_path) not in unready.body.decode()


def test_metrics_count_by_template(client: Client) -> None:
    """Labels are route templates: their number does not grow with the callers' imagination."""
    for number in range(3):
        client.request("GET", f"/-probe/query?number={number}")
        client.request("GET", f"/no/such/{number}")
    text = client.request("GET", "/metrics").body.decode()
    assert 'http_request_duration_seconds_count{method="GET",route="/-probe/query",status="200"}' in text
    assert 'route="unmatched",status="404"' in text
    assert "/no/such" not in text
    assert "log_lines_dropped_total 0.0" in text
    assert "app_build_info{version=" in text


def test_documented_names_are_the_real_ones(client: Client, service: ServiceProcess) -> None:
    """The table of metrics and log fields in the docs is checked against the running service."""
    table = (project_root() / "docs/chassis/observability.md").read_text(encoding="utf-8")
    names = {
        line.split()[2]
        for line in client.request("GET", "/metrics").body.decode().splitlines()
        if line.startswith("# TYPE")
    }
    own = {name for name in names if name.startswith(("http_", "log_", "app_"))}
    assert {name for name in own if f"`{name}`" not in table} == set()
    fields = {name for line in service.lines if line.get("logger") == "access" for name in line}
    assert {name for name in fields if f"`{name}`" not in table} == set()


def test_docs_page_needs_nobody_else(client: Client, contracts: dict[str, Any]) -> None:
    """`/docs` loads its own files only, under a policy that lets nothing else in; each version has its page."""
    for name in contracts:
        page = client.request("GET", f"/docs?version={name}")
        assert f'data-contract="/{name}/openapi.json"' in page.body.decode()
        assert "unsafe" not in page.headers["content-security-policy"]
        assert "//" not in page.body.decode()
        for path in re.findall(r'(?:src|href)="(/docs/[^"]+)"', page.body.decode()):
            file = client.request("GET", path)
            assert file.status == 200
            assert file.headers["content-type"].startswith("text/css" if path.endswith("css") else "text/javascript")
    for path in ("/docs?version=v999", "/docs/other.js"):
        assert client.request("GET", path).error["code"] == "route_not_found"


outcome = at_once(
    _deployment_is_named_by_readiness,
    _unmigrated_service_lives_but_is_not_ready,
    _unusable_database_is_not_ready_and_answers_503,
)


def test_deployment_is_named_by_readiness(outcome: Outcome) -> None:
    """Whoever deploys knows that it is the new process that is ready, not the one before on the same port."""
    outcome(_deployment_is_named_by_readiness)


def test_unmigrated_service_lives_but_is_not_ready(outcome: Outcome) -> None:
    """Traffic waits for the tables; the answer names the command. Once migrated it is ready by itself."""
    outcome(_unmigrated_service_lives_but_is_not_ready)


def test_unusable_database_is_not_ready_and_answers_503(outcome: Outcome) -> None:
    """A database that is no database: alive, not ready, and told without its details."""
    outcome(_unusable_database_is_not_ready_and_answers_503)
