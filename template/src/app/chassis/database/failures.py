"""What a failure of the database means for the caller. May import errors, violations."""

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.exc import DBAPIError, InvalidRequestError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

from app.chassis.database.violations import Violation, violation_of
from app.chassis.errors import ConflictError, FieldProblem, InvalidError, ServiceError, UnavailableError

__all__ = ["DATABASE_ERRORS", "told"]

DATABASE_ERRORS = (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What may be raised; the driver's own errors come through where a connection dies as it is made."""

# Source: https://www.sqlite.org/rescode.html
_SQLITE_OUTAGES = tuple(
    f"SQLITE_{name}" for name in ("BUSY", "LOCKED", "CANTOPEN", "IOERR", "FULL", "CORRUPT", "NOTADB", "PROTOCOL")
)
# SQLSTATE, PostgreSQL appendix A: connection, resources, shutdown and cancel, lock not had, rolled back for another.
_POSTGRESQL_OUTAGES = ("08", "53", "57", "58", "55P03", "40")
_PHRASES = {
    "unique": ("is taken", "a value that nothing else has"),
    "foreign_key": ("refers to something that is not there", "the key of something that is there"),
    "check": ("breaks a rule of the data", "a value that the rule allows"),
    "not_null": ("is missing", "a value"),
    "too_long": ("is too long", "a shorter text"),
    "overflow": ("is too large", "a number that fits"),
}


def told(error: Exception) -> ServiceError | None:
    """The error that the caller gets in place of one of `DATABASE_ERRORS`; None if it is a mistake of the program."""
    if _is_unavailable(error):
        return UnavailableError(
            "the database does not answer", expected="the same request, a little later", retry_after=1
        )
    if isinstance(error, StaleDataError):
        return ConflictError("somebody else changed it at the same time", expected="a change to what is there now")
    violation = violation_of(error) if isinstance(error, StatementError) else None
    return _refusal(violation) if violation else None


def _is_unavailable(error: Exception) -> bool:
    """Whether the database refused to work (locked, gone, full, no connection); a wrong statement is a mistake."""
    if isinstance(error, PoolTimeoutError) or not isinstance(error, SQLAlchemyError):
        return True
    if not isinstance(error, DBAPIError):
        # What the pool says when one connection after the other was closed as it was about to be lent.
        return isinstance(error, InvalidRequestError) and "connection is closed" in str(error)
    name, state = getattr(error.orig, "sqlite_errorname", ""), getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or name.startswith(_SQLITE_OUTAGES) or state.startswith(_POSTGRESQL_OUTAGES)


def _refusal(violation: Violation) -> ServiceError:
    detail, expected = _PHRASES[violation.rule]
    # Columns are called as the members of the body are; a team that calls them otherwise uses `when_violated`.
    fields = [FieldProblem("body", f"/{name}", violation.rule, detail, expected) for name in violation.columns]
    if violation.rule in ("unique", "foreign_key"):
        if violation.rule == "foreign_key" and not fields:
            detail, expected = "something else refers to it", "what refers to it is removed first"
        return ConflictError("it clashes with what is there" if fields else detail, expected=expected, fields=fields)
    return InvalidError("the data does not allow it", expected="see fields" if fields else expected, fields=fields)
