"""Table of an operator's decisions for all runs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, String
from sqlmodel import Field

from clients.store.schema.columns import counted_key, text_column, time_column, utc_now
from clients.store.schema.definition_tables import Row


class OperatorFlag(Row, table=True):
    """A flag that is set. A cleared flag has no row."""

    __tablename__ = "operator_flag"

    id: int | None = Field(default=None, sa_column=counted_key())
    name: str = Field(sa_column=Column(String(32), nullable=False, unique=True))
    reason: str = Field(sa_column=text_column())
    set_by: str = Field(sa_column=text_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
