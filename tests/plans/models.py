"""Tables with too few indexes, for tests of the plan gate."""

from datetime import datetime

from app.chassis.database import Base, Key
from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column


class Shelf(Base):
    """A table that stays small."""

    __tablename__ = "shelves"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), unique=True)


class Book(Base):
    """A table that grows."""

    __tablename__ = "books"
    __table_args__ = (
        Index("ix_books_shelf_id_created_at", "shelf_id", "created_at"),
        Index("ix_books_language_year", "language", "year"),
    )

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelves.id"))
    isbn: Mapped[str] = mapped_column(String(13), unique=True)
    title: Mapped[str] = mapped_column(String(80), index=True)
    author: Mapped[str] = mapped_column(String(80))
    note: Mapped[str | None] = mapped_column(String(200))
    language: Mapped[str] = mapped_column(String(2))
    year: Mapped[int] = mapped_column()
    price: Mapped[int] = mapped_column()
    weight: Mapped[int] = mapped_column()
    code: Mapped[int] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(index=True)


class Loan(Base):
    """Refers to a book, and no index says which."""

    __tablename__ = "loans"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id"))
    reader: Mapped[str] = mapped_column(String(80))
    spare: Mapped[str] = mapped_column(String(80), index=True)


class Review(Base):
    """Refers to a book, and an index says which."""

    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    book_id: Mapped[int] = mapped_column(ForeignKey("books.id"), index=True)
