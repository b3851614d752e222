"""The laws of the house, read from the imports: who may know whom."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.chassis.about import project_root

SOURCE = project_root() / "src"
FEATURES = {"auth", "rate_limit", "cache", "jobs", "uploads", "upstream"}


def modules(folder: str) -> list[Path]:
    """Python files below a folder of the package."""
    return sorted((SOURCE / "app" / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """Dotted name of a module file."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, module, name) of every import; `name` is empty for `import module`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write app.…"
            yield from ((node.lineno, node.module or "", alias.name) for alias in node.names)


def offenders(folder: str, *forbidden: str) -> list[str]:
    """`file:line imports module` for each import below one of the forbidden packages."""
    return [
        f"{path.relative_to(SOURCE)}:{line} imports {module}"
        for path in modules(folder)
        for line, module, name in imports(path)
        if any(f"{module}.{name}".startswith(f"{package}.") or module == package for package in forbidden)
    ]


def test_imports_go_down_only() -> None:
    """main -> api -> domains -> chassis, never up."""
    assert offenders("chassis", "app.api", "app.domains", "app.main", "app.settings") == []
    assert offenders("domains", "app.api", "app.main") == []
    assert offenders("api", "app.main") == []


def test_api_reaches_a_domain_through_its_service() -> None:
    """A route that knows queries or tables decides things that belong into the service."""
    found = [
        f"{path.relative_to(SOURCE)}:{line} imports {module}"
        for path in modules("api")
        for line, module, name in imports(path)
        if module.startswith("app.domains.") and f"{module}.{name}".split(".")[3:4] != ["service"]
    ]
    assert found == []


def test_domain_reaches_another_through_its_service() -> None:
    """So that a domain can change its tables alone."""
    found = [
        f"{path.relative_to(SOURCE)}:{line} imports {module}"
        for path in modules("domains")
        for line, module, name in imports(path)
        if module.startswith("app.domains.")
        and module.split(".")[2] != path.relative_to(SOURCE / "app/domains").parts[0]
        and f"{module}.{name}".split(".")[3:4] != ["service"]
    ]
    assert found == []


def test_layers_of_a_domain_point_down() -> None:
    """service -> cached -> queries -> models; never back."""
    below = {
        "models": {"service", "queries", "cached", "jobs"},
        "queries": {"service", "cached", "jobs"},
        "cached": {"service"},
    }
    found = [
        f"{path.relative_to(SOURCE)}:{line} imports {name or module}"
        for path in modules("domains")
        for line, module, name in imports(path)
        if module.startswith("app.domains.") and {name, *module.split(".")[3:]} & below.get(path.stem, set())
    ]
    assert found == []


def test_service_knows_neither_http_nor_sql() -> None:
    """Its rules are told without FastAPI and SQLAlchemy, so they can be read and tested without them."""
    found = [line for line in offenders("domains", "fastapi", "starlette", "sqlalchemy") if "/service.py:" in line]
    assert found == []
    assert offenders("domains", "fastapi", "starlette", "app.chassis.http") == []


def test_team_code_uses_public_names_only() -> None:
    """What a chassis module does not list in `__all__` may change with any update."""
    found = []
    for folder in ("api", "domains", "main.py", "settings.py"):
        for path in modules(folder) or [SOURCE / "app" / folder]:
            for line, module, name in imports(path) if path.is_file() else ():
                if module.startswith("app.chassis") and name not in _public(module):
                    found.append(f"{path.relative_to(SOURCE)}:{line} imports {name} of {module}")
    assert found == []


def _public(module: str) -> set[str]:
    path = SOURCE / (module.replace(".", "/") + ".py")
    path = path if path.is_file() else SOURCE / module.replace(".", "/") / "__init__.py"
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value))
    return set()


@pytest.mark.parametrize("feature", sorted(FEATURES))
def test_features_do_not_know_each_other(feature: str) -> None:
    """They meet through the core only, so that each can be absent."""
    others = tuple(f"app.chassis.{other}" for other in FEATURES - {feature})
    assert offenders(f"chassis/{feature}", *others) == []
    core = [line for line in offenders("chassis", f"app.chassis.{feature}") if "/features.py:" not in line]
    assert [line for line in core if f"chassis/{feature}/" not in line] == []


def test_edge_is_the_only_middleware() -> None:
    """One pure-ASGI layer; BaseHTTPMiddleware costs more than everything else together."""
    texts = {path: path.read_text(encoding="utf-8") for path in modules("chassis")}
    assert [str(path) for path, text in texts.items() if "BaseHTTPMiddleware" in text.replace("`", "")] == []


def test_heads_of_the_chassis_tell_what_is_imported() -> None:
    """The sentence "May import …" of a module is its imports: modules of its own room, else rooms."""
    untrue = []
    for path in modules("chassis"):
        head = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        told = re.search(r"May import ([^.]*)\.", head)
        is_free = path.name in ("__init__.py", "commands.py", "testing.py") or {"cli", "testing"} & set(path.parts)
        if is_free or (told and "every" in told[1]):
            continue
        wanted = set(told[1].split(", ")) if told else set()
        if wanted != (found := _chassis_imports(path)):
            untrue.append(f"{path.relative_to(SOURCE)}: May import {', '.join(sorted(found))}.")
    assert untrue == []


def _chassis_imports(path: Path) -> set[str]:
    room = name_of(path).split(".")[2:-1]
    found: set[str] = set()
    for _, module, name in imports(path):
        parts = [*module.split("."), name][2:] if module.startswith("app.chassis") else []
        if parts:
            depth = len(room)
            found.add(parts[depth] if parts[:depth] == room and len(parts) > depth + 1 else parts[0])
    return found


def test_imports_have_no_circle() -> None:
    """Every module can be read from the bottom up."""
    paths = {name_of(path): path for path in modules("")}
    graph = {
        name: {_module(m, n, paths) for _, m, n in imports(path)} & set(paths) - {name} for name, path in paths.items()
    }
    done: set[str] = set()
    while ready := {name for name in set(graph) - done if not graph[name] - done}:
        done |= ready
    assert set(graph) - done == set(), "these import each other"


def _module(module: str, name: str, known: dict[str, Path]) -> str:
    return f"{module}.{name}" if f"{module}.{name}" in known else module
