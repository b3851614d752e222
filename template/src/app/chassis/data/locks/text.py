"""The text of SQL: its statements, what each makes and changes. Imports nothing of the chassis."""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

__all__ = ["Name", "Part", "is_made", "parts"]

_COMMENT = r"/\*(?:(?!/\*|\*/).)*\*/"
for _ in range(3):  # one in another
    _COMMENT = rf"/\*(?:{_COMMENT}|(?!/\*|\*/).)*\*/"
_QUOTED = re.compile(
    rf"(?P<comment>--[^\n]*|{_COMMENT})|(?P<name>\"(?:[^\"]|\"\")*\")"
    r"|(?<![\w$])[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$",
    re.DOTALL,
)
_WORD = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_NAME = rf"(?:(?P<schema>{_WORD})\s*\.\s*)?(?P<name>{_WORD})(?=[\s(*;]|\Z)(?!\s*\*?\s*[.,])"  # of one thing: no list
_KIND = r"(?:MATERIALIZED\s+)?(?P<kind>TABLE|VIEW|SEQUENCE|TYPE)\s+"
_INDEX = r"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?+"
_ONLY, _IF = r"(?:ONLY\s+)?+", r"(?:IF\s+(?:NOT\s+)?EXISTS\s+)?+"
_MADE, _MADE_INDEX, *_CHANGED = (
    re.compile(one, re.IGNORECASE | re.DOTALL)
    for one in (
        rf"\s*CREATE\s+(?:(?:GLOBAL|LOCAL)\s+)?(?:(?P<temporary>TEMP|TEMPORARY)\s+|UNLOGGED\s+)?{_KIND}(?!IF\s){_NAME}",
        rf"{_INDEX}(?!IF\s)(?P<index>{_WORD})\s+ON\s+{_ONLY}{_NAME}",
        rf"\s*ALTER\s+(?P<kind>TABLE)\s.*\sATTACH\s+PARTITION\s+{_NAME}",  # the rows of this one are read
        rf"\s*(?:ALTER|DROP|REINDEX)\s+(?:INDEX\s+|{_KIND})(?:CONCURRENTLY\s+)?+{_IF}{_ONLY}{_NAME}",
        rf"{_INDEX}{_IF}(?:(?!ON\s){_WORD}\s+)?ON\s+{_ONLY}{_NAME}",
        rf"\s*TRUNCATE\s+(?:TABLE\s+)?+{_ONLY}(?!.*\bCASCADE\b){_NAME}",
    )
)


class Name(NamedTuple):
    """What a statement makes or changes; types have names of their own. No schema: none is said."""

    schema: str
    name: str
    is_type: bool = False


class Part(NamedTuple):
    """A statement of a text, from `start` on; `flat` is for looking: upper case, what stands in brackets is a `?`."""

    start: int
    sql: str
    flat: str
    changes: Name | None

    def made(self, made: Collection[Name]) -> set[Name]:
        """What is there by it; an index only where its table is as new."""
        if says := _MADE.match(self.sql):
            name = _name(says)
            return {name._replace(schema="pg_temp") if says["temporary"] else name}
        if (says := _MADE_INDEX.match(self.sql)) and (table := is_made(_name(says), made)):
            return {table._replace(name=_folded(says["index"]))}
        return set()


def parts(sql: str) -> Iterator[Part]:
    """Each statement, as long as it was; comments and texts in quotes are blank."""
    for one in re.finditer(r"[^;]*;|[^;]+", _QUOTED.sub(_blank, sql)):
        flat, inner = "", re.sub(r'"[^"]*"', "_", one[0])
        while flat != inner:
            flat, inner = inner, re.sub(r"\([^()]*\)|\[[^][]*\]", "?", inner)
        says = next((found for form in _CHANGED if (found := form.match(one[0]))), None)
        yield Part(one.start(), one[0], " ".join(flat.upper().split()), _name(says) if says else None)


def is_made(name: Name | None, made: Collection[Name]) -> Name | None:
    """Which of `made` it is: a name without schema may be a temporary one's, and says the same as `public`."""
    if not name:
        return None
    same = {"": ("pg_temp", "", "public"), "public": ("", "public")}.get(name.schema, (name.schema,))
    return next((one for schema in same if (one := name._replace(schema=schema)) in made), None)


def _blank(quoted: re.Match[str]) -> str:
    if quoted["name"]:
        return quoted[0].replace(";", ",")
    blank = re.sub("[^\n]", " ", quoted[0])
    return blank if quoted["comment"] else f"'{blank[1:-1]}'"


def _name(says: re.Match[str]) -> Name:
    kind = says.groupdict().get("kind") or ""
    return Name(_folded(says["schema"] or ""), _folded(says["name"]), kind.upper() == "TYPE")


def _folded(word: str) -> str:
    return word[1:-1].replace('""', '"') if word.startswith('"') else word.lower()
