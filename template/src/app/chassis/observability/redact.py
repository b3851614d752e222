"""Keeps secrets out of the log: by the name of a member and by the shape of a text. Imports nothing of the chassis."""

import re
from typing import Any

__all__ = ["HIDDEN", "TEXT_LIMIT", "redact", "redact_text", "snapshot", "text_of"]

HIDDEN = "[hidden]"
TEXT_LIMIT = 32_768  # a long trace fits

# One list of words, for names of members and for names in texts. What stands behind one of _LINE fills its line.
_ANYWHERE = r"passw|passphrase|secret(?!ar)|token(?!i[sz])|(?:api|access|private)[-_ ]?key|credential|session[-_]?id"
_LINE = r"(?P<line>authori[sz]ation|cookie)"
_WHOLE = "pwd|pin|otp|auth|jwt|cvv"  # parts of ordinary words (mapping, author): only between `_`, `-`, `.` or capitals
# First the letters that the words begin with: three times as quick. Last what makes a name harmless: token_count.
_NAME = (
    rf"(?=[acjopstACJOPST])(?:(?i:{_ANYWHERE}|{_LINE})"
    rf"|(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))(?i:{_WHOLE})(?![a-z]|(?<=[A-Z])[A-Z]))[\w-]{{0,64}}+"
    r"(?i:(?<!count)(?<!limit)(?<!length)(?<!size)(?<!type)(?<!name)(?<!url)(?<!method)(?<!_at)(?<!_seconds))"
)
_VALUE = (
    r"""b?(?:(?P<quote>\\{0,3}["'])(?:[^\\"']+|(?!(?P=quote))(?:\\+[\s\S]|["']))*(?:(?P=quote))?"""  # `\"` goes on
    r"""|[\[({][^\])}]*[\])}]?|(?(line)[^\r\n]+|[^\s,;&}\])]+))"""
)
_USERINFO = r"""(?:[^\s/@"'<>]++|/(?!/))"""
# Group 1 stays. Each takes time in proportion to the text: what repeats has a bound, or ends where the next begins.
_SHAPES = (
    r"()\beyJ[\w-]{10,}(?:\.[\w-]+){0,4}",  # JSON Web Token (RFC 7519), also the beginning of one
    r"()\b(?:A[KS]IA[A-Z0-9]{16}\b|g(?:h[pousr]|ithub_pat)_\w{20,}|sk_(?:live|test)_\w{16,}|xox[abeprs]-[\w-]{10,})",
    r"()-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    r"(?i)(\b(Bearer|Basic|Token)\s+)[\w.~+/=-]{6,}",  # RFC 9110 §11.4
    # A URL with a password, which ends at the last @; a port is none.
    rf"""(://[^\s/:@"'<>]*:)(?!\d{{1,5}}(?![^/?#\s]))(?:{_USERINFO}|@(?={_USERINFO}*@))+(?=@)""",
    r"(input_value=)(?:.*(?=, input_type=)|.*)",  # what pydantic was given
    r"""('msg': (?:'(?:[^'\\\n]|\\.)*'|"[^"\n]*"), 'input': ).*""",  # the same in FastAPI's words
    rf"""((?<!://){_NAME}["'\\]{{0,4}}\s{{0,8}}[=:]{{1,2}}>?\s{{0,8}}){_VALUE}""",
    rf"""(\(b?["'][\w-]{{0,64}}?{_NAME}["'],\s{{0,8}}){_VALUE}""",  # a pair, as headers are
)
_PATTERNS = [re.compile(shape) for shape in _SHAPES]
_SECRET_NAME = re.compile(_NAME)
# Each shape above holds one of these, so a text without any is clean: one search instead of nine.
_SUSPECT = re.compile(r"[\s:=(]|eyJ|A[KS]IA|g(?:h[pousr]|ithub_pat)_|sk_|xox")


def redact_text(text: str) -> str:
    """Replace everything in a text that looks like a secret, and cut what is longer than `TEXT_LIMIT` characters."""
    if len(text) > TEXT_LIMIT:
        # The cut may go through a secret, whose first half has no shape: some more goes.
        return f"{redact_text(text[:TEXT_LIMIT])[:-256]} [cut]"
    if _SUSPECT.search(text) is None:
        return text
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def snapshot(value: Any, depth: int = 6) -> Any:
    """Copy of a JSON-like value that later changes do not reach; what is no JSON becomes text, and so do names."""
    if isinstance(value, str):
        return value[: TEXT_LIMIT + 1]  # what `redact_text` will cut need not be kept
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, dict) and depth:
        return {text_of(name): snapshot(entry, depth - 1) for name, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        entries = [snapshot(entry, depth - 1) for entry in value]
        return tuple(entries) if isinstance(value, tuple) else entries
    return snapshot(text_of(value))


def text_of(value: Any) -> str:
    """`str(value)`, bytes as text; a value that has no text does not raise."""
    try:
        return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    except Exception:  # noqa: BLE001  # code of others, about to be logged
        return f"({type(value).__name__} without a text)"


def redact(value: Any, name: str = "") -> Any:
    """Copy of a snapshot without secrets; what stands under a `name` that sounds secret is hidden whole."""
    if name and value is not None and not isinstance(value, bool) and _SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {key: redact(entry, key) for key, entry in value.items()}
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):  # a pair, as headers are
        return [redact(value[0]), redact(value[1], value[0])]
    return [redact(entry) for entry in value] if isinstance(value, list | tuple) else value
