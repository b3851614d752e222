"""The two zones of .env.example: ours grows at every place, the team's grows below, an update keeps both."""

from pathlib import Path

from conftest import commit_all, git, release, update_service


def test_env_example_keeps_both_zones_through_an_update(own_template: Path, service: Path) -> None:
    """A release adds settings first, in the middle and last; the team added its own at the end: no conflict."""
    ours, merged = own_template / "template/.env.example", service / ".env.example"
    merged.write_text(merged.read_text() + "\n# How often we try.\n#RETRIES=3\n")
    commit_all(service, "the team's setting")
    text = ours.read_text()
    text = text.replace("#ENVIRONMENT=", "#FIRST=1\n#ENVIRONMENT=").replace("#LOG_LEVEL=", "#MIDDLE=2\n#LOG_LEVEL=")
    ours.write_text(text.replace("# --- end of ours", "#LAST=3\n\n# --- end of ours"))
    release(own_template, "2.0.0")

    update_service(service)

    assert "UU" not in git(service, "status", "--porcelain")
    lines = merged.read_text().splitlines()
    assert {"#FIRST=1", "#MIDDLE=2", "#LAST=3", "#RETRIES=3"} <= set(lines)
    assert lines[-1] == "#RETRIES=3"
