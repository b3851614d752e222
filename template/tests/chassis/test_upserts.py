"""Many rows at once by their key: what is inserted, what is changed, what is left alone, on every engine."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import JSON, MetaData, String, UniqueConstraint, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.chassis.database import Key, UtcDateTime, WriteWork, insert_or_update, utc_now
from app.chassis.database.engine import Database
from app.chassis.database.settings import DatabaseSettings
from app.chassis.errors import InvalidError

pytestmark = pytest.mark.engines("sqlite", "postgresql")


class _Tables(DeclarativeBase):
    metadata = MetaData()


class _Thing(_Tables):
    __tablename__ = "probe_upserts"
    __table_args__ = (UniqueConstraint("name", "kind"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
    kind: Mapped[str | None] = mapped_column(String(20))
    size: Mapped[int | None] = mapped_column()
    data: Mapped[Any] = mapped_column(JSON, nullable=True)
    touched: Mapped[datetime | None] = mapped_column(UtcDateTime, onupdate=utc_now)
    state: Mapped[str] = mapped_column(String(10), default="new", onupdate="changed")
    saved: Mapped[datetime | None] = mapped_column(UtcDateTime, onupdate=func.current_timestamp())
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # SQLAlchemy's way


class _Tag(_Tables):
    __tablename__ = "probe_tags"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)


def put(url: str, *chunks: Sequence[Mapping[str, Any]]) -> list[_Thing]:
    """All things, in the order of their keys, once each of the chunks was put."""

    async def whole() -> list[_Thing]:
        database = Database(DatabaseSettings(database_url=url))
        try:
            async with database.writer.begin() as connection:
                await connection.run_sync(_Tables.metadata.create_all)
            for chunk in chunks:
                async with WriteWork.on(database) as work:
                    await insert_or_update(work, _Thing, chunk, key=["name", "kind"])
                    await insert_or_update(work, _Tag, [{"name": "a"}, {"name": "a"}], key=["name"])
            async with WriteWork.on(database) as work:
                return list(await work.session.scalars(select(_Thing).order_by(_Thing.name)))
        finally:
            await database.close()

    return asyncio.run(whole())


def row(**more: Any) -> dict[str, Any]:
    """One thing."""
    return {"name": "a", "kind": "k", **more}


def test_insert_or_update_sets_onupdate_columns_as_an_update_does(database_url: str) -> None:
    """By function, value and SQL; never back to what an insert gives them."""
    (found,) = put(database_url, [row(size=1)])
    assert (found.state, found.touched, found.saved, found.version) == ("new", None, None, 1)
    before = utc_now()
    (found,) = put(database_url, [row(size=2)])
    assert (found.state, found.size, found.version) == ("changed", 2, 2)
    assert found.touched is not None
    assert found.touched >= before
    assert found.saved is not None
    (again,) = put(database_url, [row(size=2)])
    assert (again.touched, again.version) == (found.touched, 2)


def test_insert_or_update_keeps_an_onupdate_column_that_is_given(database_url: str) -> None:
    """What the rows say counts."""
    (found,) = put(database_url, [row(state="mine", size=1)], [row(state="yours", size=2)])
    assert (found.state, found.size) == ("yours", 2)


def test_insert_or_update_takes_json(database_url: str) -> None:
    """Changed where it differs, left alone where it does not, NUL escapes and nulls among it."""
    values: list[Any] = [{"a": 1}, {"a": 1}, {"a": [2, "\u00fc"]}, None, None, [1]]
    (found,) = put(database_url, *([row(data=value)] for value in values))
    assert (found.data, found.version) == ([1], 4)


def test_insert_or_update_refuses_rows_of_different_columns(database_url: str) -> None:
    """What only a later row has would be lost without a word; nothing is stored."""
    for rows in ([row(), row(size=1)], [row(size=1), row()], [{"name": "a", "size": 1}]):
        with pytest.raises(ValueError, match=r"found a row of the columns .*name.*; expected .*kind, name.* in each"):
            put(database_url, rows)
    assert put(database_url) == []


def test_insert_or_update_refuses_a_key_that_is_null(database_url: str) -> None:
    """No row is ever equal to it, so each time would insert one more."""
    with pytest.raises(InvalidError) as refused:
        put(database_url, [row(size=1), row(kind=None, size=1)])
    assert [(one.pointer, one.code) for one in refused.value.fields] == [("/kind", "not_null")]
    assert put(database_url) == []


def test_insert_or_update_with_nothing_but_the_key_inserts_once(database_url: str) -> None:
    """There is nothing to change."""
    assert [one.version for one in put(database_url, [row()], [row(), row()])] == [1]
