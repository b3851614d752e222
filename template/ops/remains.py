"""What a feature leaves behind when it goes, told to whoever removed it. Standard library only."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from settings import setting

Libraries = set[tuple[str, str]]
"""How `uv add` is told the group, and a name."""


def libraries(service: Path) -> Libraries:
    """What pyproject.toml asks for, the service and its tools."""
    told = tomllib.loads((service / "pyproject.toml").read_text("utf-8"))
    groups = {"": told["project"].get("dependencies", []), "--dev ": told.get("dependency-groups", {}).get("dev", [])}
    asked = ((group, one) for group, all_of_it in groups.items() for one in all_of_it if isinstance(one, str))
    names = ((group, re.split(r"[^\w.-]", one.strip(), maxsplit=1)[0]) for group, one in asked)
    return {(group, re.sub(r"[-_.]+", "-", name).lower()) for group, name in names}  # as PEP 503 compares them


def settings_of(service: Path) -> set[str]:
    """The settings that .env.example lists; none where the team has deleted it."""
    example = service / ".env.example"
    text = example.read_text("utf-8") if example.is_file() else ""
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", text, re.MULTILINE))


def notes(feature: str, stays: list[str], leaving: set[str], dropped: Libraries, unread: set[str]) -> Iterator[str]:
    """Each thing that lies idle now, or has an effect no more; `stays` are the other features."""
    if gone := sorted(dropped - libraries(Path())):
        back = ", ".join(f"uv add {group}{name}" for group, name in gone)
        yield (
            f"pyproject.toml asks no more for {', '.join(name for _, name in gone)}; what code of yours imports "
            f"you bring back (uv: on PATH or in .tools/bin): {back}"
        )
    if any(path.startswith(f"src/app/chassis/{feature}/versions/") for path in leaving):
        yield f"its tables chassis_{feature}_* stay in the database, and their rows"
    own = f"{feature.upper()}_"
    if names := sorted({f"{own}*" if name.startswith(own) else name for name in unread}):
        yield f"settings that are read no more, in .env or in deployments: {', '.join(names)}; take them out"
    yield from _keys(own) if feature == "auth" else _limits(has_log_in="auth" in stays)


def _keys(prefix: str) -> Iterator[str]:
    file, value = setting(f"{prefix}KEYS_FILE", "var/keys.json"), setting(f"{prefix}KEYS", "")
    if holders := [*([file] if Path(file).is_file() else []), *([f"{prefix}KEYS"] if value else [])]:
        yield (
            f"private keys are still in {', '.join(holders)}: delete them if the feature shall not come back, "
            "for it would use them again"
        )


def _limits(*, has_log_in: bool) -> Iterator[str]:
    if idle := sorted(map(str, Path("src/app/api").rglob("limits.toml"))):
        yield f"nothing reads these any more: {', '.join(idle)}"
    if has_log_in:
        yield "nothing slows down the guessing of passwords any more: let a gateway before the service limit the log-in"
