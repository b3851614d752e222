"""Names of schemas as client generators like them. Imports nothing of the chassis."""

import re
from typing import Any

__all__ = ["REF", "with_clean_names"]

REF = "#/components/schemas/"


def with_clean_names(document: dict[str, Any]) -> dict[str, Any]:
    """The document with schemas named as generators like them: `Page_Item_` becomes `PageItem`, sorted.

    Raises:
        ValueError: two schemas would get one name.
    """
    schemas = document["components"]["schemas"]
    names = {name: _clean(name) for name in sorted(schemas, key=_clean)}
    if len(set(names.values())) < len(names):
        taken = sorted(name for name in names if list(names.values()).count(names[name]) > 1)
        raise ValueError(f"found schemas that differ in their punctuation only: {', '.join(taken)}; rename one")
    document["components"]["schemas"] = {clean: {**schemas[name], "title": clean} for name, clean in names.items()}
    renamed: dict[str, Any] = _renamed(document, {REF + name: REF + clean for name, clean in names.items()})
    return renamed


def _clean(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name))


def _renamed(node: Any, names: dict[str, str]) -> Any:
    if isinstance(node, list):
        return [_renamed(entry, names) for entry in node]
    if not isinstance(node, dict):
        return node
    return {
        key: names.get(value, value) if key == "$ref" and isinstance(value, str) else _renamed(value, names)
        for key, value in node.items()
    }
