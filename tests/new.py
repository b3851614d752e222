"""`make new`: Copier itself, except that what it cannot use is told in one line. Standard library only.

A service remembers where its template is. Where a clone has a commit from elsewhere, that address is remembered, which
CI can reach, too; git is told to find it in the clone.
"""

import os
import re
import runpy
import subprocess
import sys
import tempfile

URL = re.compile(r"(?:https?|ssh)://\S+|[\w.-]+@[\w.-]+:\S+")


def git(folder: str, *arguments: str) -> str:
    """What git prints; nothing where it fails."""
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def address(clone: str, ref: str) -> str:
    """Where a clone's commit comes from, as Copier takes it; empty where only the clone is known to have it."""
    url = git(clone, "remote", "get-url", "origin")
    is_there = url and git(clone, "for-each-ref", "--contains", ref, "refs/remotes/origin")
    # An address that holds a password is nobody else's.
    if not is_there or not URL.fullmatch(url) or re.match(r"https?://[^/]*@", url):
        return ""
    return url if url.endswith(".git") or not url.startswith("http") else f"git+{url}"


def main(arguments: list[str]) -> None:
    """Copy: the last two arguments are the clone and the new folder, before them the release."""
    *options, ref, clone, _new = arguments
    with tempfile.TemporaryDirectory() as cache:
        if url := address(clone, ref):
            os.environ |= {
                "COPIER_CACHE_DIR": cache,  # what is fetched here under that address is the clone's
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"url.{clone}.insteadOf",
                "GIT_CONFIG_VALUE_0": url.removeprefix("git+"),
            }
        sys.argv = ["copier", *options, ref, url or clone, _new]
        runpy.run_module("copier", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (OSError, ValueError) as error:  # Copier ends in a traceback when an answer or the folder is not fit
        print(f"make new: {error}", file=sys.stderr)
        sys.exit(2)
