"""Column types and columns that behave the same in SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, DateTime, ForeignKey, Integer, LargeBinary, Numeric, String, Text, text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class Undecodable:
    """A stored value that its column's type cannot decode.

    No model accepts it, so its row is reported as damaged.
    """

    def __init__(self, stored: object) -> None:
        self._stored = stored

    def __repr__(self) -> str:
        return f"undecodable {str(self._stored)[:40]!r}"


class _Lenient:
    """Mixin for column types whose undecodable values spoil no other row."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Return a decoder that yields `Undecodable` when it fails."""
        decode = super().result_processor(dialect, coltype)  # type: ignore[misc]
        if decode is None:
            return None

        def leniently(value: Any) -> Any:
            try:
                return decode(value)
            except Exception:
                return Undecodable(value)

        return leniently


class AnyJson(_Lenient, TypeDecorator[Any]):
    """A JSON document."""

    impl = JSON
    cache_ok = True


class Binary(_Lenient, TypeDecorator[bytes]):
    """Bytes."""

    impl = LargeBinary
    cache_ok = True


class Hundredths(_Lenient, TypeDecorator[Any]):
    """A number with two decimal places."""

    impl = Numeric(5, 2)
    cache_ok = True


class UtcDateTime(_Lenient, TypeDecorator[datetime]):
    """An aware UTC time with microseconds.

    SQLite stores no time zone, so it is added again on reading.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; reject naive times, because their meaning is unknown."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time in UTC."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class AnyText(TypeDecorator[str]):
    """Text of any length from outside, such as a body or address.

    NUL, which PostgreSQL rejects, and lone surrogates, which are not text but can come out of JSON, are stored as
    U+FFFD. This way no answer of a peer can stop a run.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace characters that cannot be stored as text."""
        return None if value is None else storable(value)


def storable(value: str) -> str:
    """Return a text as it would come back from an `AnyText` column."""
    if value.isascii() and "\0" not in value:
        return value
    whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\ufffd")


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


def given_key() -> Column[Any]:
    """Create a primary key that the application assigns, mostly a 53-bit id."""
    return Column(BigInteger, primary_key=True, autoincrement=False, nullable=False)


def counted_key() -> Column[Any]:
    """Create a primary key that the database counts up.

    SQLite does this only for INTEGER columns.
    """
    return Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def execution_column(*, index: bool = False) -> Column[Any]:
    """Create a reference to a row's run.

    It is usually the first column of a natural key, so the key's index covers it.
    """
    return Column(BigInteger, ForeignKey("task_execution.id", ondelete="CASCADE"), nullable=False, index=index)


def plan_column(*, index: bool = False) -> Column[Any]:
    """Create a reference to a row's plan (the peers' task)."""
    return Column(BigInteger, ForeignKey("plan_snapshot.id"), nullable=False, index=index)


def case_column() -> Column[Any]:
    """Create a reference to a row's case."""
    return Column(BigInteger, ForeignKey("test_cases.id", ondelete="CASCADE"), nullable=False, index=True)


def time_column(*, nullable: bool = False) -> Column[Any]:
    """Create a column for a UTC time with microseconds."""
    return Column(UtcDateTime, nullable=nullable)


def text_column(*, nullable: bool = False, index: bool = False) -> Column[Any]:
    """Create a column for text of any length."""
    return Column(AnyText, nullable=nullable, index=index)


def kind_column() -> Column[Any]:
    """Create a column for the name of a kind of execution. Rows of before there were kinds are resilience tests."""
    return Column(String(32), nullable=False, server_default="resilience-test")


def name_column() -> Column[Any]:
    """Create a column for a definition's name. Rows of before it was stored get an empty one."""
    return Column(AnyText, nullable=False, server_default=text("''"))
