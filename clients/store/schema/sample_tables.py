"""Table of the samples of measured cases."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, UniqueConstraint
from sqlmodel import Field

from clients.store.schema.columns import Binary, case_column, counted_key, execution_column, time_column, utc_now
from clients.store.schema.definition_tables import Row


class CaseSamples(Row, table=True):
    """The latencies of one arm.

    The control of a group is stored with the first case of the group.
    """

    __tablename__ = "case_samples"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "test_case_id", "arm"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    test_case_id: int = Field(sa_column=case_column())
    arm: str = Field(max_length=8)
    histogram: bytes = Field(sa_column=Column(Binary, nullable=False))
    raw: bytes | None = Field(default=None, sa_column=Column(Binary))
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
