"""What a domain, one of its things and its classes are called, and who has that name already. Standard library only."""

import builtins
import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from copies import NotDoneError
from domain_fields import wrong

# Names in the functions that are written; a thing that is called so gets `the_` before it.
_LOCALS = {
    "add", "body", "content", "date", "datetime", "expected", "expected_version", "location", "name", "paging", "part",
    "queries", "remove", "router", "save", "select", "service", "tag", "value", "work",
}  # fmt: skip
# What the chassis calls so is imported under another name, see domain_texts.py.
ALIASED = {"Base", "Key", "Order", "Part", "Slice"}
_CLASSES = {
    "Decimal", "Mapped", "Numeric", "ReadWork", "String", "TypedDict", "Unpack", "UtcDateTime", "WriteWork",
    *dir(builtins),
}  # fmt: skip
_ROOT_PATHS = {"docs", "errors", "health", "livez", "metrics", "readyz"}
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SINGULARS = (
    ("movies", "movie"), ("cookies", "cookie"), ("caches", "cache"), ("statuses", "status"), ("series", ""),
    ("species", ""), ("news", ""), ("oes", ""), ("ouses", "ouse"), ("uses", ""), ("ies", "y"), ("sses", "ss"),
    ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("ss", ""), ("s", ""),
)  # fmt: skip
_FORM = "lower-case ASCII letters, digits and single _, at most 40, a letter first"


@dataclass(frozen=True)
class Names:
    """`order_lines`, `order_line`, `OrderLine`; the variable that holds one; both as words."""

    many: str
    one: str

    @property
    def type(self) -> str:
        """The class of one."""
        return "".join(part.capitalize() for part in self.one.split("_"))

    @property
    def variable(self) -> str:
        """What a function calls one."""
        is_taken = self.one in _LOCALS or keyword.iskeyword(self.one) or hasattr(builtins, self.one)
        return f"the_{self.one}" if is_taken else self.one

    @property
    def words(self) -> str:
        """Many, in a sentence."""
        return self.many.replace("_", " ")

    @property
    def a_word(self) -> str:
        """One, in a sentence: `an order line`."""
        return f"{'an' if self.one[0] in 'aeio' else 'a'} {self.word}"

    @property
    def word(self) -> str:
        """One, after `the`."""
        return self.one.replace("_", " ")

    @property
    def key(self) -> str:
        """What a path and a function call the key of one."""
        return f"{self.one}_id"


def read_names(many: str, one: str) -> Names:
    """The names that NAME and ONE give; without ONE it is NAME without its plural.

    Raises:
        NotDoneError: one of them cannot be used.
    """
    _require(many, "NAME", "orders")
    if many in _ROOT_PATHS or re.match(r"chassis|sqlite_|pg_|alembic|v[0-9]+$", many):
        raise wrong("NAME", many, "another name: the chassis or a database has that one")
    if many in sys.stdlib_module_names:
        raise wrong("NAME", many, "another name: Python has a module of that one")
    one = one or _singular(many)
    if not one:
        raise wrong("NAME", many, f"a plural, or what one is called: make domain NAME={many} ONE=…")
    _require(one, "ONE", "order")
    names = Names(many, one)
    if names.type in _CLASSES:
        raise wrong("ONE", one, f"another word: Python or a library has {names.type}, for example: ONE=our_{one}")
    return names


def _require(name: str, what: str, example: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise wrong(what, name, f"{_FORM}, for example: {what}={example}")
    if what == "NAME" and keyword.iskeyword(name):
        raise wrong(what, name, f"no word of Python's own, for example: {what}={example}")


def _singular(many: str) -> str:
    if re.search(r"(^|_)[a-z]ies$", many):  # ties, but also skies
        return ""
    for ending, instead in _SINGULARS:
        if many.endswith(ending):
            return many.removesuffix(ending) + instead if instead or ending == "s" else ""
    return ""


def newest_version() -> str:
    """The folder of the API that routes are added to.

    Raises:
        NotDoneError: there is none.
    """
    found = sorted(int(path.name[1:]) for path in Path("src/app/api").glob("v*/") if path.name[1:].isdigit())
    if not found:
        raise NotDoneError("src/app/api: found no version; expected a folder src/app/api/v1 with an __init__.py", 2)
    return f"v{found[-1]}"


def require_free(names: Names, version: str) -> None:
    """Raise NotDoneError, naming file and line, if something has one of the names already."""
    places = ("src/app/domains", f"src/app/api/{version}", "tests")
    there = [f"{place}/{names.many}{end}" for place in places for end in ("", ".py")]
    there = [path for path in there if Path(path).exists()]
    for folder, patterns in () if there else _uses(names, version).items():
        for path in sorted(Path(folder).rglob("*.py")):
            text = path.read_text("utf-8", "replace")
            hits = (found for pattern in patterns for found in re.finditer(pattern, text, re.MULTILINE))
            there += [f"{path}:{text.count(chr(10), 0, hit.start()) + 1}: {hit[0].strip()}" for hit in hits]
    if there:
        lines = "\n".join(there)
        raise NotDoneError(
            f"NAME {names.many}, ONE {names.one}: found already\n{lines}\nexpected names that nothing has", 2
        )


def _uses(names: Names, version: str) -> dict[str, list[str]]:
    operations = "|".join((f"list_{names.many}", *(f"{verb}_{names.one}" for verb in VERBS)))
    return {
        "src/app/domains": [
            rf"__tablename__\s*(?::\s*\w+\s*)?=\s*['\"]{names.many}['\"]",
            rf"\bcode\s*(?::\s*\w+\s*)?=\s*['\"]{names.one}_(?:not_found|changed)['\"]",
        ],
        f"src/app/api/{version}": [
            rf"\bprefix\s*=\s*['\"]/{names.many}/?['\"]",
            rf"^\s*(?:async )?def (?:{operations})\(",
            # FastAPI would give both another name in the contract, and a client's classes with them.
            rf"^class {names.type}(?:In|Out)\b",
        ],
    }


VERBS = ("create", "read", "replace", "delete")
"""What is done with one, beside listing many."""
