"""What a secret looks like in a file, and what only stands for one. Imports nothing of the chassis."""

import re
from collections.abc import Iterator

__all__ = ["is_env_file", "is_made_up", "is_secret", "secrets_in"]

# Keys also inside of JSON, or encrypted.
_TOKENS = re.compile(
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\s\"']|\\+[rn])+(?:[\w-]{1,20}: ?[^\n\\]{1,120}(?:[\s\"']|\\+[rn])+){0,4}[\w+/=]{32}"
    r"|\"[dk]\"\s*:\s*\"[\w-]{40}"  # of a JWK
    r"|\b(?:A[KS]IA[A-Z0-9]{16}\b|gh[pousr]_\w{36}|github_pat_\w{22}|glpat-[\w-]{20}|xox[abprs]-[\w-]{20}"
    r"|[rs]k_live_\w{20}|sk-(?:proj|svcacct|admin|ant|or)-[\w-]{20}|sk-[A-Za-z0-9]{40}|AIza[\w-]{35}"
    r"|pypi-AgEI[\w-]{50}|eyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20}"
    r"|hooks\.slack\.com/\w{1,20}/T\w{6,}/[AB]\w{6,}/\w{16})"
)
_URL = re.compile(r"://([^\s/:@\"'`<>]*):([^\s/@\"'`<>]{6,})@")
# What such a name ends with may tell that the value is none: token_seconds, password_file.
_NAME = (
    r"(?i:(?:passw(?:or)?d|passphrase|(?<![a-z])pwd|secret|token|credentials?|(?:api|access|auth|private|signing)"
    r"[-_]?keys?)(?!\w{0,20}_(?:at|algorithm|audience|count|encryption|expiry|file|hash|id|issuer|length|limit|max|min"
    r"|name|path|seconds|size|ttl|type|ur[il])(?!\w))(?:_\w{1,20})?)"
)
# No possessive quantifier over a group: Python before 3.11.5 then misses matches (gh-106052).
_ASSIGNED = re.compile(
    rf"(?<!svg\?){_NAME}[\"']?[ \t]{{0,4}}(?::[ \t]{{0,4}}[\w.|\[\] ]{{1,40}}=|[:=]=?|=>)[ \t]{{0,4}}"
    r"(?:(?:\w*Secret\w*\()?([\"'])((?:(?!\1)[^\s\\]){10,512})\1|([^\s\"'`,;(){}\[\]<>]{10,512}+)(?![^\s\"'`,;}\]]))"
)
_MADE_UP = re.compile(
    r"(?i:change-?me|example|placeholder|planted|your[-_]|x{4}|\*{3}|\.{3}|…)|^[$</.~\[]|^%[(s]|[{}]|\$\(|://"
    r"|^(?:[A-Z]+|[A-Z0-9]+(?:_[A-Z0-9]+)+)$|^(?i:\w{0,4}[-_]?(?:password|passwd|pass|pwd|passphrase|secret|token))$"
)
_ENV_FILE = r"(?:.*/)?(?:[^/]*\.env\*?|\.env\.(?!.*(?:example|sample|template|dist|vault)$)[^/]+)"


def is_env_file(path: str) -> bool:
    """Whether a file holds settings by its name; examples of them and encrypted ones do not."""
    return re.fullmatch(_ENV_FILE, path) is not None


def is_secret(name: str, value: str) -> bool:
    """Whether a variable holds a secret: by its name, or as the password of an address."""
    is_harmless = re.fullmatch(r"(?i)([/.].*|\$|true|false|\d{1,6}[a-z]?)?", value)
    return bool(re.search(rf"{_NAME}$", name) and not is_harmless) or any(map(_is_password, _URL.finditer(value)))


def is_made_up(value: str) -> bool:
    """Whether a value only stands for a secret: a placeholder, or words or a number alone."""
    return not (re.search("[A-Za-z]", value) and re.search("[0-9]", value)) or bool(_MADE_UP.search(value))


def secrets_in(text: str, *, is_code: bool, has_examples: bool) -> Iterator[int]:
    """Where they begin. In code only what is quoted is a value; of examples only what a provider gave out counts."""
    yield from (found.start() for found in _TOKENS.finditer(text))
    if has_examples:
        return
    yield from (found.start() for found in _URL.finditer(text) if _is_password(found))
    for found in _ASSIGNED.finditer(text):
        if not is_made_up(found[2] or ("" if is_code else found[3] or "")):
            yield found.start()


def _is_password(found: re.Match[str]) -> bool:
    return found[1] != found[2] and not _MADE_UP.search(found[2])
