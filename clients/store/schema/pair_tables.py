"""Table of pairs with two real faults.

It complements the results of the same pairs measured with rules.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, UniqueConstraint
from sqlmodel import Field

from clients.store.schema.columns import (
    AnyJson,
    case_column,
    counted_key,
    execution_column,
    text_column,
    time_column,
    utc_now,
)
from clients.store.schema.definition_tables import Row


class PairCheck(Row, table=True):
    """One pair to be verified; null columns where nothing was compared."""

    __tablename__ = "pair_check"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "test_case_id"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    test_case_id: int = Field(sa_column=case_column())
    outcome: str = Field(max_length=16)
    reason: str = Field(default="", sa_column=text_column())
    status_agrees: bool | None = None
    body_agrees: bool | None = None
    verdict_agrees: bool | None = None
    differs: list[str] = Field(sa_column=Column(AnyJson, nullable=False))
    verdict: str | None = Field(default=None, max_length=16)
    response_code: int | None = None
    response_body: str = Field(default="", sa_column=text_column())
    measurement: dict[str, Any] | None = Field(default=None, sa_column=Column(AnyJson(none_as_null=True)))
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
