"""The kinds of column that the tables are made of: what the two databases would otherwise keep differently."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, DateTime, ForeignKey, Integer, LargeBinary, Numeric, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class Undecodable:
    """A stored value that is not of its column's kind. No model accepts it, so the row that has it is named."""

    def __init__(self, stored: object) -> None:
        self._stored = stored

    def __repr__(self) -> str:
        return f"undecodable {str(self._stored)[:40]!r}"


class _Lenient:
    """Mixed into a column's type: a value that cannot be decoded spoils itself, and not the reading of all rows."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Decode one stored value, or yield `Undecodable`."""
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
    """A number with two places."""

    impl = Numeric(5, 2)
    cache_ok = True


class UtcDateTime(_Lenient, TypeDecorator[datetime]):
    """A time zone aware UTC time with microseconds. SQLite stores no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody knows what they mean."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give UTC back."""
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class AnyText(TypeDecorator[str]):
    """Text of any length from outside: a body, an address, somebody's words.

    NUL (which PostgreSQL refuses) and halves of surrogate pairs (which are no text, yet come out of JSON) are stored
    as U+FFFD, so that no answer of a peer can stop a run.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what is not text."""
        return None if value is None else storable(value)


def storable(value: str) -> str:
    """A text as it comes back from a column of `AnyText`."""
    if value.isascii() and "\0" not in value:
        return value
    whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\ufffd")


def utc_now() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


def given_key() -> Column[Any]:
    """A primary key that is given: a 53-bit id."""
    return Column(BigInteger, primary_key=True, autoincrement=False, nullable=False)


def counted_key() -> Column[Any]:
    """A primary key that the database counts up. SQLite does so for nothing but an INTEGER."""
    return Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True)


def execution_column(*, index: bool = False) -> Column[Any]:
    """The run that a row belongs to. Mostly the first column of a natural key, whose index serves it."""
    return Column(BigInteger, ForeignKey("task_execution.id", ondelete="CASCADE"), nullable=False, index=index)


def plan_column(*, index: bool = False) -> Column[Any]:
    """The plan that a row belongs to: the peers' task."""
    return Column(BigInteger, ForeignKey("plan_snapshot.id"), nullable=False, index=index)


def case_column() -> Column[Any]:
    """The case that a row belongs to."""
    return Column(BigInteger, ForeignKey("test_cases.id", ondelete="CASCADE"), nullable=False, index=True)


def time_column(*, nullable: bool = False) -> Column[Any]:
    """A moment, UTC, with microseconds."""
    return Column(UtcDateTime, nullable=nullable)


def text_column(*, nullable: bool = False, index: bool = False) -> Column[Any]:
    """Text without a bound."""
    return Column(AnyText, nullable=nullable, index=index)
