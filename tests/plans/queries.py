"""Queries whose plans are bad (`bad_…`) and good (`good_…`), for tests of the plan gate."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from app.chassis.database import Order, Part, ReadWork, Slice, WriteWork, insert_or_update
from app.domains.books.models import Book, Loan, Review, Shelf
from sqlalchemy import String, cast, delete, exists, func, insert, literal, or_, select, text, tuple_, update

_BY_ISBN = Order(Book.isbn)
_BY_WEIGHT = Order(Book.weight, Book.id)


async def bad_unindexed(work: ReadWork, author: str) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(Book.author == author))).all()


async def bad_walk(work: ReadWork, part: Part) -> Slice[Book]:
    return await _BY_WEIGHT.slice(work, select(Book), part, count_to=500)


async def bad_contains(work: ReadWork, title: str) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(Book.title.contains(title)).limit(1))).all()


async def bad_function(work: ReadWork, title: str) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(func.lower(Book.title) == title))).all()


async def bad_order(work: ReadWork, limit: int) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).order_by(Book.price).limit(limit))).all()


async def bad_join(work: ReadWork, title: str) -> Sequence[Loan]:
    statement = select(Loan).join(Book, Loan.book_id == Book.id).where(Book.title == title)
    return (await work.session.scalars(statement)).all()


async def bad_or(work: ReadWork, author: str, weight: int) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(or_(Book.author == author, Book.weight == weight)))).all()


async def bad_second_column(work: ReadWork, year: int) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(Book.year == year))).all()


async def bad_not_in(work: ReadWork) -> Sequence[Book]:
    statement = select(Book).where(Book.id.not_in(select(Loan.book_id))).limit(5)
    return (await work.session.scalars(statement)).all()


async def bad_count(work: ReadWork, reader: str) -> int:
    return await work.session.scalar(select(func.count()).select_from(Loan).where(Loan.reader == reader)) or 0


async def bad_page(work: ReadWork, *, offset: int, limit: int) -> Sequence[Book]:
    statement = select(Book).order_by(Book.weight.desc()).offset(offset).limit(limit)
    return (await work.session.scalars(statement)).all()


async def bad_cast(work: ReadWork, code: str) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(cast(Book.code, String) == code))).all()


async def bad_delete(work: WriteWork, author: str) -> None:
    await work.session.execute(delete(Book).where(Book.author == author, Book.price > 5))


async def bad_update(work: WriteWork, note: str) -> None:
    await work.session.execute(update(Book).where(Book.note == note).values(weight=1))


async def bad_order_of_some(work: ReadWork, shelf_id: int) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(Book.shelf_id == shelf_id).order_by(Book.title))).all()


async def bad_text(work: ReadWork, author: str) -> Sequence[Any]:
    return (await work.session.execute(text("SELECT id FROM books b WHERE b.author = :a"), {"a": author})).all()


async def bad_exists(work: ReadWork, price: int) -> bool:
    return bool(await work.session.scalar(select(exists().where(Book.price == price))))


async def bad_filter_of_a_list(work: ReadWork, note: str) -> Sequence[Book]:
    statement = select(Book).where(Book.note == note).order_by(Book.id.desc()).limit(50)
    return (await work.session.scalars(statement)).all()


async def bad_largest(work: ReadWork) -> int | None:
    return await work.session.scalar(select(func.max(Book.weight)))


async def bad_sometimes(work: ReadWork, title: str | None) -> Sequence[Book]:
    statement = select(Book).limit(5)
    statement = statement.order_by(Book.weight) if title is None else statement.where(Book.title == title)
    return (await work.session.scalars(statement)).all()


async def bad_optional(work: ReadWork, title: str) -> Sequence[Book]:
    statement = select(Book).where(or_(literal(title).is_(None), Book.title == title))
    return (await work.session.scalars(statement)).all()


async def bad_left_join(work: ReadWork) -> Sequence[Any]:
    return (await work.session.execute(select(Shelf, Loan.id).outerjoin(Loan, Loan.reader == Shelf.name))).all()


async def bad_product(work: ReadWork) -> int | None:
    statement = select(func.count()).select_from(Book).join(Loan, Book.price < Loan.id)
    return await work.session.scalar(statement)


async def bad_insert_of_many(work: WriteWork, author: str) -> None:
    names = select(Book.isbn).where(Book.author == author)
    await work.session.execute(insert(Shelf).from_select(["name"], names))


async def bad_comment(work: ReadWork, author: str) -> Sequence[Any]:
    statement = text("-- of one author\n/* all */ SELECT id FROM books WHERE author = :a")
    return (await work.session.execute(statement, {"a": author})).all()


async def bad_join_for_each(work: ReadWork, code: int) -> Sequence[Any]:
    statement = select(Loan.reader).join(Book, Loan.reader == Book.note).where(Book.code == code)
    return (await work.session.execute(statement)).all()


async def bad_rare(work: ReadWork, price: int) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(Book.price > price).limit(20))).all()


async def good_key(work: ReadWork, book_id: int) -> Book | None:
    return await work.session.get(Book, book_id)


async def good_unique(work: ReadWork, isbn: str) -> Book | None:
    return (await work.session.scalars(select(Book).where(Book.isbn == isbn))).one_or_none()


async def good_page(work: ReadWork, *, offset: int, limit: int) -> Sequence[Book]:
    statement = select(Book).order_by(Book.created_at.desc()).offset(offset).limit(limit)
    return (await work.session.scalars(statement)).all()


async def good_some_in_order(work: ReadWork, shelf_id: int) -> Sequence[Book]:
    statement = select(Book).where(Book.shelf_id == shelf_id).order_by(Book.created_at.desc()).limit(20)
    return (await work.session.scalars(statement)).all()


async def good_several_keys(work: ReadWork, ids: Sequence[int]) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(Book.id.in_(ids)))).all()


async def good_beginning(work: ReadWork, title: str) -> Sequence[Book]:
    statement = select(Book).where(Book.title >= title, Book.title < title + "~").order_by(Book.title).limit(20)
    return (await work.session.scalars(statement)).all()


async def good_two_columns(work: ReadWork, language: str, year: int) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(Book.language == language, Book.year == year))).all()


async def good_bounded_count(work: ReadWork) -> int:
    return await work.session.scalar(select(func.count()).select_from(select(Book.id).limit(501).subquery())) or 0


async def good_after(work: ReadWork, book_id: int, limit: int) -> Sequence[Book]:
    statement = select(Book).where(Book.id < book_id).order_by(Book.id.desc()).limit(limit)
    return (await work.session.scalars(statement)).all()


async def good_after_two(work: ReadWork, created_at: datetime, book_id: int) -> Sequence[Book]:
    statement = select(Book).where(tuple_(Book.created_at, Book.id) > (created_at, book_id))
    return (await work.session.scalars(statement.order_by(Book.created_at).limit(20))).all()


async def good_filter_that_most_pass(work: ReadWork, limit: int) -> Sequence[Book]:
    statement = select(Book).where(Book.note.is_not(None)).order_by(Book.id.desc()).limit(limit)
    return (await work.session.scalars(statement)).all()


async def good_small_table(work: ReadWork) -> Sequence[Shelf]:
    return (await work.session.scalars(select(Shelf).order_by(Shelf.name))).all()


async def good_join(work: ReadWork, isbn: str) -> Sequence[Any]:
    return (await work.session.execute(select(Book, Shelf).join(Shelf).where(Book.isbn == isbn))).all()


async def good_change(work: WriteWork, book: Book) -> None:
    book.price += 1
    await work.session.flush()


async def good_remove(work: WriteWork, loan_id: int) -> None:
    await work.session.execute(delete(Loan).where(Loan.id == loan_id))


async def good_add(work: WriteWork, name: str) -> None:
    work.session.add_all([Shelf(name=name), Shelf(name=f"{name} 2")])
    await work.session.flush()
    await work.session.scalars(select(Shelf).where(Shelf.name == name))


async def good_choice(work: ReadWork, order: Literal["title", "created_at"], *, is_newest: bool) -> Sequence[Book]:
    column = getattr(Book, order)
    return (await work.session.scalars(select(Book).order_by(column.desc() if is_newest else column).limit(5))).all()


async def good_or(work: ReadWork, isbn: str, book_id: int) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(or_(Book.isbn == isbn, Book.id == book_id)))).all()


async def good_oldest(work: ReadWork) -> datetime | None:
    return await work.session.scalar(select(func.min(Book.created_at)))


async def good_largest_key(work: ReadWork) -> int | None:
    """The largest key is the last row of the table itself."""
    return await work.session.scalar(select(func.max(Book.id)))


async def good_union(work: ReadWork, isbn: str, title: str) -> Sequence[Any]:
    both = select(Book.id).where(Book.isbn == isbn).union_all(select(Book.id).where(Book.title == title))
    return (await work.session.execute(both)).all()


async def good_walk(work: ReadWork, part: Part) -> Slice[Book]:
    wanted = select(Book)
    return await _BY_ISBN.slice(work, wanted, part, count_to=500)


async def good_walk_of_a_range(work: ReadWork, part: Part) -> Slice[Book]:
    return await _BY_ISBN.slice(work, select(Book).where(Book.price > 0), part, count_to=500)


async def good_walk_of_a_join(work: ReadWork, part: Part) -> Slice[Book]:
    return await _BY_ISBN.slice(work, select(Book).join(Shelf).where(Shelf.id > 0), part, count_to=500)


async def good_walk_of_parents(work: ReadWork, part: Part) -> Slice[Book]:
    wanted = select(Book).where(exists().where(Review.book_id == Book.id))
    return await Order(Book.id).slice(work, wanted, part, count_to=100)


async def good_common(work: ReadWork, price: int) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).where(Book.price > price).order_by(Book.id).limit(20))).all()


async def good_text(work: ReadWork, year: int) -> Sequence[Any]:
    statement = text("SELECT id FROM books WHERE year >= :y ORDER BY id LIMIT 20")
    return (await work.session.execute(statement, {"y": year})).all()


async def good_rows(work: WriteWork, rows: Sequence[Mapping[str, Any]]) -> None:
    await insert_or_update(work, Book, rows, key=["isbn"])
    await work.session.scalars(select(Book).where(Book.isbn.in_([row["isbn"] for row in rows])))


async def good_given(work: ReadWork, filters: dict[str, Any]) -> Sequence[Book]:
    return (await work.session.scalars(select(Book).filter_by(**filters))).all()
