"""Decoding of stored rows, one by one.

An unreadable row is reported, never raised, and a listing continues past it. Nothing else decodes rows
(`tests/unit/store/test_store_damaged_rows.py` checks this). The columns of `columns.py` yield `Undecodable` where a
driver would otherwise fail for all rows at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy import inspect

from domain.base import Contract
from domain.errors import ErrorCode, HoldfastError

R = TypeVar("R")
T = TypeVar("T")

MOST_KEPT = 1_000
"""Most damaged rows that a store remembers.

The command that opened the store reports them.
"""

_SHOWN = 60
_ADVICE = "fix or delete it by hand; everything else was read"


class DamagedRow(Contract):
    """A stored row that cannot be read: its place and its problem."""

    table: str
    row: str
    """The row's key, such as `id=17`, or a label in words."""
    trouble: str
    may_be_on: bool = False
    """Whether the row may stand for something still switched on."""

    def __str__(self) -> str:
        """Return one sentence for people, with advice."""
        return f"damaged row in {self.table}, {self.row}: {self.trouble} ({_ADVICE})"

    def error(self) -> HoldfastError:
        """Build the error for a caller that asked for this row alone."""
        message = f"a stored row is damaged: {self.table}, {self.row}: {self.trouble}"
        return HoldfastError(ErrorCode.STORE_CONFLICT, message, hint="fix or delete it by hand")


class Rows(list[T]):
    """The readable rows; the others are in `damaged`."""

    def __init__(self, found: Iterable[T] = (), damaged: Iterable[DamagedRow] = ()) -> None:
        super().__init__(found)
        self.damaged = list(damaged)


class Damage:
    """Decoder of rows that remembers the damaged ones.

    The command that opened the store reports them.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], DamagedRow] = {}

    @property
    def rows(self) -> list[DamagedRow]:
        """Every damaged row met so far, once each, at most `MOST_KEPT`."""
        return list(self._seen.values())

    def note(self, damaged: DamagedRow) -> None:
        """Remember a damaged row; a repetition counts once."""
        key = (damaged.table, damaged.row)
        known = self._seen.get(key)
        if len(self._seen) < MOST_KEPT or known is not None:
            self._seen[key] = damaged if known is None or damaged.may_be_on else known

    def decode(
        self,
        row: R,
        read: Callable[[R], T],
        *,
        label: str = "",
        salvage: Callable[[R], T | None] | None = None,
        may_be_on: bool = False,
    ) -> tuple[T | None, DamagedRow | None]:
        """Read one row and return its value, its damage, or both.

        Both are returned when the row is damaged and `salvage` still yields the needed part of it.
        """
        try:
            return read(row), None
        except Exception as error:
            table, key = _table_and_key(row)
            damaged = DamagedRow(table=table, row=label or key, trouble=_trouble(error), may_be_on=may_be_on)
        self.note(damaged)
        try:
            return (salvage(row) if salvage else None), damaged
        except Exception:
            return None, damaged

    def all(
        self,
        rows: Iterable[R],
        read: Callable[[R], T],
        *,
        label: Callable[[R], str] | None = None,
        salvage: Callable[[R], T | None] | None = None,
        may_be_on: bool = False,
    ) -> Rows[T]:
        """Read rows one by one, so that damage stays in its row."""
        found: Rows[T] = Rows()
        for row in rows:
            named = label(row) if label else ""
            value, damaged = self.decode(row, read, label=named, salvage=salvage, may_be_on=may_be_on)
            if value is not None:
                found.append(value)
            if damaged is not None:
                found.damaged.append(damaged)
        return found

    def one(self, row: R, read: Callable[[R], T]) -> T:
        """Read the single row a caller asked for.

        Raises:
            HoldfastError: STORE_CONFLICT, naming the row and what is wrong with it.
        """
        value, damaged = self.decode(row, read)
        if damaged is not None:
            raise damaged.error()
        assert value is not None  # noqa: S101 - readers yield values
        return value


def facts_of(row: Any) -> dict[str, Any]:
    """Return the columns of a row, unchanged."""
    return {name: getattr(row, name) for name in type(row).model_fields}


def _table_and_key(row: Any) -> tuple[str, str]:
    entity = row if hasattr(row, "__table__") else next((part for part in row if hasattr(part, "__table__")), None)
    if entity is None:
        return "?", "?"
    mapper = inspect(type(entity))
    key = ", ".join(f"{column.key}={_short(getattr(entity, column.key, None))}" for column in mapper.primary_key)
    return str(entity.__tablename__), key


def _short(value: Any) -> str:
    text = repr(value[:_SHOWN] if isinstance(value, str | bytes) else value)
    return text if len(text) <= _SHOWN + 2 else f"{text[:_SHOWN]}..."


def _trouble(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"{type(error).__name__}: {_short(str(error))}"
    first = error.errors(include_url=False, include_context=False)[0]
    where = str(first["loc"][0]) if first["loc"] else "the row"
    return f"{where} is {_short(first['input'])}: {first['msg'][:200]}"
