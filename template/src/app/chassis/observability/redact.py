"""Keeps secrets out of the log: by the name of a member and by the shape of a text."""

import re
from typing import Any

__all__ = ["HIDDEN", "redact", "redact_text"]

HIDDEN = "[hidden]"
_NAME = re.compile(
    r"passw|passphrase|secret|token|api[-_]?key|private[-_]?key|authori[sz]ation|cookie|credential|session[-_]?id",
    re.IGNORECASE,
)
_SHAPES = (
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"), HIDDEN),  # JSON Web Token (RFC 7519)
    (re.compile(r"\b(Bearer|Basic|Token)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),  # RFC 9110 §11.4
    (
        re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s@/]+@", re.IGNORECASE),
        rf"\1:{HIDDEN}@",
    ),  # URL with a password
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), HIDDEN),
    (
        re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_\w{30,}|\bsk_(?:live|test)_\w{16,}|\bxox[abp]-[\w-]{10,}"),
        HIDDEN,
    ),
    (
        re.compile(
            r"""(["']?\b[\w-]*(?:passw(?:or)?d|secret|api[-_]?key|token|private[-_]?key)["']?\s*[=:]\s*)"""
            r"""("[^"]*"|'[^']*'|[^\s,;&}\])]+)""",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
)


# Each shape above holds one of these, so a text without any is clean: one search instead of seven.
_SUSPECT = re.compile(r"[\s:=]|eyJ|A[KS]IA|gh[pousr]_|sk_|xox")


def redact_text(text: str) -> str:
    """Replace everything in a text that looks like a secret."""
    if _SUSPECT.search(text) is None:
        return text
    for shape, replacement in _SHAPES:
        text = shape.sub(replacement, text)
    return text


def redact(value: Any, depth: int = 6) -> Any:
    """Copy of a JSON-like value without secrets; members whose name sounds secret are hidden whole."""
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict) and depth:
        return {
            key: HIDDEN
            if isinstance(key, str) and _NAME.search(key) and not _is_harmless(entry)
            else redact(entry, depth - 1)
            for key, entry in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [redact(entry, depth - 1) for entry in value]
    if value is None or isinstance(value, int | float):
        return value
    return redact_text(str(value)[:2_000])


def _is_harmless(value: Any) -> bool:
    return value is None or isinstance(value, bool)
