"""Table of how long services took to be stable, for each wait."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, UniqueConstraint
from sqlmodel import Field

from clients.store.schema.columns import counted_key, execution_column, text_column, time_column, utc_now
from clients.store.schema.definition_tables import Row


class StabilityRow(Row, table=True):
    """The result of one wait for one service."""

    __tablename__ = "service_stability"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "moment", "service_name"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    moment: str = Field(max_length=32)
    service_name: str = Field(max_length=200)
    stable: bool
    waited_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    detail: str = Field(default="", sa_column=text_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
