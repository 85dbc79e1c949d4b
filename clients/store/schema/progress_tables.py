"""Tables of how a run went: its phases, its steady state, and which pairs it verified."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, Float, UniqueConstraint
from sqlmodel import Field

from clients.store.schema.columns import counted_key, execution_column, text_column, time_column, utc_now
from clients.store.schema.definition_tables import Row


class PhaseRow(Row, table=True):
    """One phase that a run entered."""

    __tablename__ = "execution_phase"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "phase"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    phase: str = Field(max_length=32)
    entered_at: datetime = Field(default_factory=utc_now, sa_column=time_column())


class SteadyRow(Row, table=True):
    """The result of one check of the steady state."""

    __tablename__ = "steady_check"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "moment"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    moment: str = Field(max_length=16)
    met: bool
    detail: str = Field(default="", sa_column=text_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())


class PairChoiceRow(Row, table=True):
    """How many pairs a run chose to verify with two real faults."""

    __tablename__ = "pair_choice"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    asked_for: bool
    share: float | None = Field(default=None, sa_column=Column(Float))
    measured: int
    chosen: int
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
