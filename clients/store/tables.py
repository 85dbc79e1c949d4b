"""The tables. Names and columns of the peers' database where they have one, and beside them what theirs lack.

Every table has a natural key, so that a repeated activity leaves one row. Times are UTC with microseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Column, DateTime, ForeignKey, Index, Numeric, String, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """A time zone aware UTC time. SQLite stores none, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: nobody knows what they mean."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give UTC back."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def utc_now() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


def _key(*, primary_key: bool = False) -> Column[Any]:
    return Column(BigInteger, primary_key=primary_key, autoincrement=False, nullable=False)


def _serial() -> Column[Any]:
    # SQLite counts up only an INTEGER primary key; 53-bit keys of ours are given, these are not.
    return Column(BigInteger().with_variant(_sqlite_integer(), "sqlite"), primary_key=True, autoincrement=True)


def _sqlite_integer() -> Any:
    from sqlalchemy import Integer  # noqa: PLC0415 - one use, beside its reason

    return Integer()


def _execution() -> Column[Any]:
    return Column(BigInteger, ForeignKey("task_execution.id", ondelete="CASCADE"), nullable=False, index=True)


def _time(*, nullable: bool = False) -> Column[Any]:
    return Column(UtcDateTime, nullable=nullable)


class PlanSnapshot(SQLModel, table=True):
    """A plan as it was run: content-addressed, so the same plan is stored once."""

    __tablename__ = "plan_snapshot"

    id: int = Field(sa_column=_key(primary_key=True))
    sha256: str = Field(sa_column=Column(String(64), nullable=False, unique=True))
    schema_version: int
    name: str = Field(max_length=63)
    canonical_json: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class TaskExecution(SQLModel, table=True):
    """One run."""

    __tablename__ = "task_execution"

    id: int = Field(sa_column=_key(primary_key=True))
    task_id: int = Field(sa_column=Column(BigInteger, ForeignKey("plan_snapshot.id"), nullable=False, index=True))
    namespace: str = Field(max_length=128)
    req_def_id: int = Field(sa_column=Column(BigInteger))
    request_num: int = 1
    status: str = Field(max_length=32, index=True)
    analyze_task_id: str | None = Field(default=None, max_length=64)
    record_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    intercept_record_id: str | None = Field(default=None, max_length=64)
    started_at: datetime = Field(sa_column=_time())
    finished_at: datetime | None = Field(default=None, sa_column=_time(nullable=True))
    error_code: str | None = Field(default=None, max_length=64)
    error_msg: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    # Ours.
    workflow_id: str = Field(sa_column=Column(Text, nullable=False, index=True))
    run_id: str = Field(max_length=64, unique=True)
    run_status: str = Field(max_length=16)
    verdict: str | None = Field(default=None, max_length=16)
    recovery: str | None = Field(default=None, max_length=16)
    environment: str = Field(max_length=128)
    error_class: str | None = Field(default=None, max_length=8)
    error_phase: str | None = Field(default=None, max_length=32)
    requested_by: str = Field(default="", sa_column=Column(Text, nullable=False))
    timing_json: str = Field(sa_column=Column(Text, nullable=False))


class TaskExecutionLog(SQLModel, table=True):
    """What happened in a run, append-only. Sort by (ts, id)."""

    __tablename__ = "task_execution_log"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "entry_key"),)

    id: int = Field(sa_column=_key(primary_key=True))
    execution_id: int = Field(sa_column=_execution())
    entry_key: str = Field(max_length=255)
    ts: datetime = Field(sa_column=_time())
    level: int
    message: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class TestCase(SQLModel, table=True):
    """One case."""

    __tablename__ = "test_cases"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "case_index"),)
    __test__: ClassVar[bool] = False

    id: int | None = Field(default=None, sa_column=_serial())
    task_id: int = Field(sa_column=Column(BigInteger, ForeignKey("plan_snapshot.id"), nullable=False))
    case_type: str = Field(max_length=8)
    target_count: int
    faults_json: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    execution_id: int = Field(sa_column=_execution())
    case_index: int
    case_id: str = Field(sa_column=Column(Text, nullable=False))
    services: list[str] = Field(sa_column=Column(JSON, nullable=False))


class BaggageMap(SQLModel, table=True):
    """The baggage token of a service in a run."""

    __tablename__ = "baggage_map"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "service_name"),)

    id: int | None = Field(default=None, sa_column=_serial())
    execution_id: int = Field(sa_column=_execution())
    service_name: str = Field(max_length=200)
    value: str = Field(max_length=1024)
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class _Exchange(SQLModel):
    """Columns that recorded and replayed exchanges share."""

    service_name: str = Field(max_length=200)
    position: int
    request_url: str = Field(max_length=2048)
    request_method: str = Field(max_length=16)
    raw_path: str = Field(max_length=2048)
    response_status: int


class RequestPattern(_Exchange, table=True):
    """A recorded request and its healthy answer."""

    __tablename__ = "request_pattern"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "service_name", "position"),)

    id: int | None = Field(default=None, sa_column=_serial())
    execution_id: int = Field(sa_column=_execution())
    request_headers: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    request_body: str = Field(sa_column=Column(Text, nullable=False))
    response_headers: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    response_body: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())


class InterceptReplayResult(_Exchange, table=True):
    """How a service answered while its fault was active: what its rules are made of."""

    __tablename__ = "intercept_replay_result"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "service_name", "position"),)

    id: int | None = Field(default=None, sa_column=_serial())
    task_id: int = Field(sa_column=Column(BigInteger, ForeignKey("plan_snapshot.id"), nullable=False))
    execution_id: int = Field(sa_column=_execution())
    fault_type: str = Field(max_length=128)
    request_headers: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    request_body: str = Field(sa_column=Column(Text, nullable=False))
    response_headers: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    response_body: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    # Ours.
    substituted: bool = False
    no_effect: bool = False
    error_message: str = Field(default="", sa_column=Column(Text, nullable=False))


class TestResult(SQLModel, table=True):
    """What became of a case. p50, p95, p99 and err_rate keep the peers' definition for ever."""

    __tablename__ = "test_result"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "test_case_id"),)
    __test__: ClassVar[bool] = False

    id: int | None = Field(default=None, sa_column=_serial())
    execution_id: int = Field(sa_column=_execution())
    test_case_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("test_cases.id", ondelete="CASCADE"), nullable=False)
    )
    p50: int | None = None
    p95: int | None = None
    p99: int | None = None
    err_rate: Decimal | None = Field(default=None, sa_column=Column(Numeric(5, 2)))
    request_url: str = Field(default="", sa_column=Column(Text, nullable=False))
    request_method: str = Field(default="", max_length=10)
    response_code: int | None = None
    response_body: str = Field(default="", sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    # Ours: successes only, microseconds.
    outcome: str = Field(max_length=16)
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    verdict: str | None = Field(default=None, max_length=16)
    success_p50_us: int | None = Field(default=None, sa_column=Column(BigInteger))
    success_p95_us: int | None = Field(default=None, sa_column=Column(BigInteger))
    success_p99_us: int | None = Field(default=None, sa_column=Column(BigInteger))
    success_max_us: int | None = Field(default=None, sa_column=Column(BigInteger))
    requests: int | None = None
    successes: int | None = None
    errors: int | None = None
    errors_by_kind: dict[str, int] | None = Field(default=None, sa_column=Column(JSON))
    duration_us: int | None = Field(default=None, sa_column=Column(BigInteger))


class Ledger(SQLModel, table=True):
    """One window: what it switched on, and whether that is known to be off."""

    __tablename__ = "ledger"
    __table_args__: ClassVar[tuple[Any, ...]] = (Index("ix_ledger_state", "state"),)

    window_id: str = Field(sa_column=Column(String(255), primary_key=True))
    run_id: str = Field(sa_column=Column(String(64), primary_key=True))
    execution_id: int = Field(sa_column=_execution())
    parent_workflow_id: str = Field(sa_column=Column(Text, nullable=False))
    parent_run_id: str = Field(max_length=64)
    kind: str = Field(max_length=16)
    service: str = Field(default="", max_length=200)
    peer_name: str = Field(default="", max_length=255)
    state: str = Field(max_length=16)
    close_by: datetime = Field(sa_column=_time())
    detail: str = Field(default="", sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(default_factory=utc_now, sa_column=_time())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=_time())
