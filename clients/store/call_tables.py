"""What discovery found: fallback calls, answers of really broken services, and its rounds."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Column, UniqueConstraint
from sqlmodel import Field

from clients.store.columns import AnyJson, case_column, counted_key, execution_column, text_column, time_column, utc_now
from clients.store.definition_tables import Row


class FallbackCallRow(Row, table=True):
    """One call that a service received only, or more often, while the services of a case were broken."""

    __tablename__ = "fallback_call"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "call_key"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    # A hash of case, service, method and path: a path is too long for an index.
    call_key: str = Field(max_length=64)
    case_index: int
    service_name: str = Field(max_length=200)
    request_method: str = Field(sa_column=text_column())
    raw_path: str = Field(sa_column=text_column())
    times: int
    healthy_times: int
    is_new: bool
    round_number: int
    reason: str = Field(default="", sa_column=text_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())


class RealCaseRow(Row, table=True):
    """One case that was asked while its services were really broken."""

    __tablename__ = "real_case"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "test_case_id"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    test_case_id: int = Field(sa_column=case_column())
    answers: list[dict[str, Any]] = Field(sa_column=Column(AnyJson, nullable=False))
    measurement: dict[str, Any] = Field(sa_column=Column(AnyJson, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())


class CallRoundRow(Row, table=True):
    """One round of discovery."""

    __tablename__ = "call_round"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "round_number"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    round_number: int
    complete: bool
    detail: str = Field(default="", sa_column=text_column())
    unread: list[str] = Field(sa_column=Column(AnyJson, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
