"""The SQL that revisions would send to PostgreSQL, told without a database. May import database, feature."""

import re
import sys
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationStep
from alembic.script import ScriptDirectory
from sqlalchemy.exc import CompileError

from app.chassis.database.applying import place_in
from app.chassis.database.migrations import config_of
from app.chassis.feature import MigrationRoom

__all__ = ["LocksError", "Statement", "rendered"]

_LOADS = (
    "revisions that Python can load, in one line: of two with one number or one down_revision, change the later one"
)
_OFFLINE = (
    "a revision that asks no database; what must ask one stands below `if not context.is_offline_mode():` "
    "(from alembic import context)"
)
_WRITABLE = (
    "values that can be written into SQL; rows with others, as JSON, are sent below "
    "`if not context.is_offline_mode():` (from alembic import context)"
)


class LocksError(Exception):
    """It cannot be told what revisions do to others; says what is wrong and what is expected."""


class Statement(NamedTuple):
    """What a line of a revision sends: a text, most often one statement, that ends with a line break."""

    sql: str
    file: Path
    line: int


class _Sent(list[Statement]):
    """What Alembic writes to, in place of a file; `file` is the revision that is being run."""

    file = Path()

    def write(self, sql: str) -> None:
        frame = sys._getframe(1)  # noqa: SLF001  # as `traceback` does
        while frame.f_back and frame.f_code.co_filename != str(self.file):
            frame = frame.f_back
        sql = re.sub(
            r";\n\n\Z", "\n;\n\n", sql
        )  # Alembic's end of a statement, out of a comment that may stand before it
        self.append(Statement(sql, self.file, frame.f_lineno if frame.f_back else 1))  # 1: Alembic's BEGIN, COMMIT

    def flush(self) -> None:
        """Nothing is held back."""


def rendered(room: MigrationRoom, names: Collection[str]) -> list[Statement]:
    """What the revisions in files of those names send, the oldest first, each in its transaction.

    Raises:
        LocksError: a revision cannot be loaded, or asks a database; or there are two heads.
    """
    sent, config = _Sent(), config_of(room)
    config.output_buffer = sent  # type: ignore[assignment]  # all of it that Alembic uses
    script = ScriptDirectory.from_config(config)

    def steps(_heads: Any, _context: Any) -> Iterator[MigrationStep]:
        for revision in reversed(list(script.walk_revisions("base", "head"))):
            if Path(revision.path).name in names:
                sent.file = Path(revision.path)
                yield MigrationStep.upgrade_from_script(script.revision_map, revision)

    try:
        with warnings.catch_warnings(), EnvironmentContext(config, script, fn=steps, as_sql=True):
            warnings.filterwarnings("error", "Revision .* is present more than once")
            script.run_env()
    except Exception as error:  # noqa: BLE001  # the team's code may raise anything; where it happened is what helps
        place = place_in(room.folder, error)
        told = f"{place + ': ' if place else ''}{type(error).__name__}: {' '.join(str(error).split())}"
        way_out = _WRITABLE if isinstance(error, CompileError) else _OFFLINE
        raise LocksError(f"{told}; expected {way_out if sent.file != Path() else _LOADS}") from None
    return sent
