"""Reads the jobs of a rendered service's CI, of both systems, and runs their commands here, as a runner would.

Of GitHub's steps `run:` is run, `uses:` is told and left out; of GitLab's jobs the lines of `script`.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from tools import user_environment

WORKFLOWS = ".github/workflows"
GITLAB = ".gitlab-ci.yml"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass(frozen=True)
class Job:
    """One job: on which occasions it runs, its commands, what it takes from elsewhere."""

    system: str
    file: str
    name: str
    occasions: frozenset[str]
    """`change`, `nightly`, `weekly`, `release`."""
    lines: tuple[str, ...]
    uses: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)


def content(service: Path, name: str) -> dict:
    """Parse a YAML file of a service; `on` stays a word."""
    return yaml.load((service / name).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - safe


def workflows(service: Path) -> list[str]:
    """Return the paths of all workflows."""
    return sorted(path.relative_to(service).as_posix() for path in (service / WORKFLOWS).glob("*.yml"))


def github_jobs(service: Path) -> Iterator[Job]:
    """Yield every job of every workflow."""
    for name in workflows(service):
        workflow = content(service, name)
        occasions = frozenset(_github_occasions(workflow["on"]))
        for job, told in workflow["jobs"].items():
            steps = told["steps"]
            lines = tuple(step["run"] for step in steps if "run" in step)
            uses = tuple(step["uses"] for step in steps if "uses" in step)
            environment = dict(item for step in steps for item in step.get("env", {}).items())
            yield Job("github", name, job, occasions, lines, uses, environment)


def _github_occasions(told: dict) -> Iterator[str]:
    if "pull_request" in told:
        yield "change"
    if "tags" in (told.get("push") or {}):
        yield "release"
    for one in told.get("schedule", ()):
        yield "nightly" if one["cron"].split()[4] == "*" else "weekly"


def gitlab_jobs(service: Path) -> Iterator[Job]:
    """Yield every job of the pipeline; a rule that says never takes its occasion away."""
    pipeline = content(service, GITLAB)
    for name, told in pipeline.items():
        if isinstance(told, dict) and "script" in told:
            rules = told.get("rules") or pipeline[told["extends"]]["rules"]
            yield Job("gitlab", GITLAB, name, frozenset(_gitlab_occasions(rules)), tuple(told["script"]))


def _gitlab_occasions(rules: list[dict]) -> Iterator[str]:
    for rule in rules:
        if rule.get("when") == "never":
            continue
        said = rule.get("if", "")
        if not said:
            yield "change"
        found = re.search(r'\$CI_PIPELINE_SOURCE == "schedule" && \$CHASSIS_SCHEDULE == "(\w+)"', said)
        if found:
            yield found[1]
        if said == "$CI_COMMIT_TAG":
            yield "release"


def resolved(text: str, known: Mapping[str, str]) -> str:
    """Put in what a runner would put in for each expression.

    Raises:
        KeyError: an expression that is not known.
    """
    return EXPRESSION.sub(lambda found: known[found[1]], text)


def run(job: Job, folder: Path, known: Mapping[str, str], **environment: str) -> list[tuple[str, int, str]]:
    """Run the commands of a job one after the other until one fails; return each with its status and output."""
    system = {"github": {"GITHUB_ACTIONS": "true"}, "gitlab": {"GITLAB_CI": "true"}}[job.system]
    given = {name: resolved(value, known) for name, value in job.environment.items()}
    whole = user_environment(**{"CI": "true", **system, **given, **environment})
    done: list[tuple[str, int, str]] = []
    for line in job.lines:
        command = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", resolved(line, {})]
        one = subprocess.run(command, cwd=folder, env=whole, capture_output=True, text=True, check=False)
        done.append((line, one.returncode, one.stdout + one.stderr))
        if one.returncode:
            break
    return done
