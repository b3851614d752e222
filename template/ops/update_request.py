"""Proposes the update to whoever reviews: pushes the branch, opens a pull or merge request. In CI. Needs Copier.

Usage: uv tool run --from 'copier>=9.19.1,<10' python ops/update_request.py
In GitHub Actions the request is made by gh, in GitLab CI by the push. CHASSIS_UPDATE_TOKEN is the token for both, else
GH_TOKEN or CI_JOB_TOKEN; Copier, uv and what they start are not given it.
Exit codes: 0 a request, or nothing to do; 1 one with conflicts or losses, or without a lock that fits; 2 not done.
"""

import base64
import os
import subprocess
import sys
from dataclasses import dataclass
from urllib.parse import urlsplit

from copies import NotDoneError
from rendering import ended
from repository import git
from update_proposal import PAGE, Proposal, propose

TOKENS = ("CHASSIS_UPDATE_TOKEN", "GH_TOKEN", "GITHUB_TOKEN", "CI_JOB_TOKEN")


@dataclass(frozen=True)
class Place:
    """Where the branch goes, and how."""

    is_github: bool
    url: str
    token: str
    user: str

    def environment(self) -> dict[str, str]:
        """Variables for git: the token stands in no address and no argument, where logs and lists would show it."""
        if not self.token or not self.url.startswith(("http://", "https://")):
            return dict(os.environ)
        word = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
        settings = (
            (f"http.{self.url}.extraHeader", f"Authorization: Basic {word}"),
            ("credential.helper", ""),
        )
        told = {"GIT_CONFIG_COUNT": str(len(settings)), "GIT_TERMINAL_PROMPT": "0"}
        for number, (name, value) in enumerate(settings):
            told |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        return dict(os.environ) | told

    def git(self, *arguments: str) -> str:
        """What git prints, with the right to push.

        Raises:
            NotDoneError: the place refused, or did not answer.
        """
        done = subprocess.run(["git", *arguments], env=self.environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            why = done.stderr.strip().splitlines()[-3:]
            raise NotDoneError(
                f"git {arguments[0]}: {' '.join(why)}; expected a token that may push: docs/chassis/ci.md", 2
            )
        return done.stdout


def place() -> Place:
    """Where this runs, and which token it has; the environment has none from here on.

    Raises:
        NotDoneError: this is neither GitHub Actions nor GitLab CI.
    """
    given = {name: os.environ.pop(name, "") for name in TOKENS}
    is_github = os.environ.get("GITHUB_ACTIONS") == "true"
    if not is_github and os.environ.get("GITLAB_CI") != "true":
        raise NotDoneError("neither GitHub Actions nor GitLab CI; `make update-proposal` makes the branch here", 2)
    address = git("remote", "get-url", "origin").strip()
    parts = urlsplit(address)
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if "://" in address else address
    if is_github:
        return Place(
            True, url, given["CHASSIS_UPDATE_TOKEN"] or given["GH_TOKEN"] or given["GITHUB_TOKEN"], "x-access-token"
        )
    own = given["CHASSIS_UPDATE_TOKEN"]
    return Place(False, url, own or given["CI_JOB_TOKEN"], "oauth2" if own else "gitlab-ci-token")


def request(where: Place, proposal: Proposal) -> None:
    """Push the branch and open the request.

    Raises:
        NotDoneError: one of the two failed; then the branch is not there either.
    """
    if where.is_github:
        where.git("push", "--quiet", where.url, proposal.branch)
        _open_by_gh(where, proposal)
        return
    found = f"; conflicts: {', '.join(proposal.conflicts)}" if proposal.conflicts else ""
    options = {
        "create": None,
        "target": os.environ.get("CI_DEFAULT_BRANCH"),
        "title": proposal.title,
        "description": f"From {proposal.before} to {proposal.after}{found}. The message of the commit lists the files.",
    }
    if not proposal.is_clean:
        options["label"] = "chassis-conflict"
    told = [f"--push-option=merge_request.{name}{f'={value}' if value else ''}" for name, value in options.items()]
    where.git("push", "--quiet", *told, where.url, proposal.branch)


def _open_by_gh(where: Place, proposal: Proposal) -> None:
    base = os.environ.get("GITHUB_REF_NAME") or "main"
    command = ["gh", "pr", "create", "--base", base, "--head", proposal.branch]
    command += ["--title", proposal.title, "--body-file", str(PAGE)]
    environment = dict(os.environ) | {"GH_TOKEN": where.token, "GH_REPO": os.environ.get("GITHUB_REPOSITORY", "")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        failed = done.stderr.strip() or f"exit status {done.returncode}" if done.returncode else ""
    except OSError as error:
        failed = str(error)
    if failed:  # the next run shall try again
        where.git("push", "--quiet", where.url, f":{proposal.branch}")
        raise NotDoneError(f"gh pr create: {failed}; docs/chassis/ci.md says what it needs", 2)


def main() -> int:
    """Propose and request, and say what came of it."""
    where = place()
    proposed = {line.partition("refs/heads/")[2] for line in where.git("ls-remote", "--heads", where.url).splitlines()}
    proposal = propose(proposed)
    if proposal is None:
        return 0
    try:
        request(where, proposal)
    finally:
        git("branch", "--quiet", "--delete", "--force", proposal.branch)
    print(proposal.page())
    return 0 if proposal.is_clean else 1


if __name__ == "__main__":
    sys.exit(ended(main))
