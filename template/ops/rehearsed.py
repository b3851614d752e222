"""What was rehearsed and what was not: said as it comes, then written. Standard library only."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from records import now, who
from scratch import FOLDER
from telling import say


@dataclass
class Item:
    """Something to be rehearsed: `is_good` is None if it was not, and `detail` says why or how."""

    name: str
    is_good: bool | None
    detail: str
    seconds: float = 0.0


@dataclass
class Report:
    """What was rehearsed, what was not, and in what the copy differs."""

    time: str = field(default_factory=now)
    who: str = field(default_factory=who)
    differences: dict[str, str] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)

    def add(self, name: str, do: Callable[[], str | None], failed: str = "") -> bool:
        """Do it and note how it went; `do` returns what is wrong, or None."""
        begun = time.monotonic()
        wrong = do()
        one = Item(name, wrong is None, wrong or failed, round(time.monotonic() - begun, 2))
        self.note(one)
        return wrong is None

    def note(self, one: Item) -> None:
        """Keep it and say it."""
        self.items.append(one)
        word = {True: "ok", False: "FAIL", None: "not rehearsed"}[one.is_good]
        took = "" if one.is_good is None else f", {one.seconds:.1f} s"
        say(f"{word}: {one.name}{took}{': ' * bool(one.detail)}{one.detail}")

    def write(self) -> None:
        """Put it into a file of its own."""
        path = FOLDER / f"{self.time.replace(':', '').replace('+0000', 'Z')}.json"
        path.write_text(json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        say(f"report: {path}")
