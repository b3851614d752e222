"""Alerts fire and stay silent, lead to a procedure, and know only metrics that the service has; so do the panels."""

import json
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest
from alerts import alerts
from conftest import Render, copy_service, share
from serving import served
from tools import require, user_environment

MONITORING = "deploy/monitoring"
# Names that a rule may use without the service having them: what Prometheus itself knows, and what rules record.
KNOWN = {"up"}
NAME = re.compile(r"\b[a-z_]+(?=\{|\[)|(?<=[( ])[a-z]+(?:_[a-z]+){2,}\b(?!\()")


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run promtool beside the rules."""
    return subprocess.run(
        [require("promtool"), *arguments], cwd=folder / MONITORING, capture_output=True, text=True, check=False
    )


def unit_tests(folder: Path) -> list[str]:
    """Return the files of unit tests."""
    return [
        str(path.relative_to(folder / MONITORING)) for path in sorted((folder / MONITORING).glob("chassis/tests/*"))
    ]


def expressions(folder: Path) -> dict[str, str]:
    """Return what is asked of Prometheus, by where it stands."""
    found = {}
    for path in sorted((folder / MONITORING).glob("chassis/*.yml")):
        blocks = re.findall(
            r"(?:alert|record): (\S+)\n +expr: (?:\|\n)?((?:.*\n)*?)(?= {6}(?:- |  for)| {8}for|\Z)", path.read_text()
        )
        found |= {f"{path.name} {name}": expression for name, expression in blocks}
    for path in sorted((folder / MONITORING).glob("chassis/*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            found |= {f"{path.name} {panel['title']} {one['refId']}": one["expr"] for one in panel["targets"]}
    return found


@pytest.mark.parametrize(
    "answers",
    [{}, {"features": []}, {"owner": 'A {{ "team" }}: #1 \\ `x` <b>', "service_name": "Orders & more"}],
    ids=["default", "bare", "odd"],
)
def test_rules_are_valid_and_each_alert_fires_and_stays_silent(
    template: Path, tmp_path: Path, answers: dict[str, str]
) -> None:
    """By promtool, whatever the team is called; an alert without both tests is found here."""
    folder = copy_service(template, tmp_path / "service", **answers)
    checked = promtool(folder, "check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = promtool(folder, "test", "rules", *unit_tests(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    told = "".join((folder / MONITORING / name).read_text() for name in unit_tests(folder))
    names = {alert.name for alert in alerts(folder / MONITORING)}
    assert set(re.findall(r"name: (\w+) fires", told)) == names
    assert set(re.findall(r"name: (\w+) is silent", told)) == names


def test_alert_that_never_fires_turns_its_test_red(render: Render, tmp_path: Path) -> None:
    """Each limit that is far too high, one at a time, is noticed."""
    folder = share_of(render, tmp_path)
    for path in sorted((folder / MONITORING).glob("chassis/*.yml")):
        text = path.read_text()
        for name in re.findall(r"alert: (\w+)", text):
            path.write_text(re.sub(rf"(alert: {name}\n +expr: )(.*)", r"\1(\2) > 1e12", text))
            done = promtool(folder, "test", "rules", f"chassis/tests/{path.name}")
            assert done.returncode == 1, name
        path.write_text(text)


def share_of(render: Render, tmp_path: Path) -> Path:
    """Return a copy of the monitoring of a rendered service."""
    source = render() / MONITORING
    for path in source.rglob("*"):
        if path.is_file():
            target = tmp_path / MONITORING / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def test_every_metric_of_a_rule_or_a_panel_is_one_of_the_service(installed: Path, tmp_path: Path) -> None:
    """What the running service shows, and what rules record from it; none of them is made up."""
    folder = share(installed, tmp_path / "my service")
    command = [".venv/bin/python", "-m", "app", "migrate"]
    subprocess.run(command, cwd=folder, env=user_environment(PYTHONPATH="src"), check=True, capture_output=True)
    with served(folder) as address, urllib.request.urlopen(f"http://{address}/metrics") as answer:
        shown = answer.read().decode()
    has = KNOWN | {name + end for name in re.findall(r"# TYPE (\w+)", shown) for end in ("", "_bucket", "_count")}
    assert len(expressions(folder)) > 30
    for where, expression in expressions(folder).items():
        names = set(NAME.findall(re.sub(r'"[^"]*"|by \([^)]*\)|on\(\)', "", expression)))
        assert names <= has, f"{where}: {names - has}"
        assert names or "service:" in expression, where


def test_first_row_of_the_dashboard_asks_what_status_asks(render: Render) -> None:
    """The same questions in the same order, and the alerts' first words are theirs too."""
    status = (render() / "ops/status.py").read_text(encoding="utf-8")
    panels = json.loads((render() / MONITORING / "chassis/dashboard.json").read_text())["panels"]
    first = [panel["title"].lower() for panel in panels if panel["gridPos"]["y"] == 0]
    assert first == re.findall(r'"((?:is it|did the)[a-z ]+)"', status)
