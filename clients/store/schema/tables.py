"""The tables of the store.

Names and columns follow the peers' database where it has them. Tables and columns of our own are added beside these.

Every table has a natural key, so that a repeated activity leaves one row. Text from outside has no length limit,
because PostgreSQL would reject text over a limit while SQLite would not. A change here needs a new migration.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Index, String, UniqueConstraint
from sqlmodel import Field

from clients.store.schema.call_tables import CallRoundRow, FallbackCallRow, RealCaseRow
from clients.store.schema.columns import (
    AnyJson,
    Hundredths,
    case_column,
    counted_key,
    execution_column,
    given_key,
    kind_column,
    name_column,
    plan_column,
    text_column,
    time_column,
    utc_now,
)
from clients.store.schema.definition_tables import HttpReqDef, PlanSnapshot, Row
from clients.store.schema.operator_tables import OperatorFlag
from clients.store.schema.pair_tables import PairCheck
from clients.store.schema.progress_tables import PairChoiceRow, PhaseRow, SteadyRow
from clients.store.schema.sample_tables import CaseSamples
from clients.store.schema.stability_tables import StabilityRow

__all__ = [
    "BaggageMap",
    "CallRoundRow",
    "CaseSamples",
    "FallbackCallRow",
    "HttpReqDef",
    "InterceptReplayResult",
    "Ledger",
    "OperatorFlag",
    "PairCheck",
    "PairChoiceRow",
    "PhaseRow",
    "PlanSnapshot",
    "RealCaseRow",
    "RecordedService",
    "RequestPattern",
    "Row",
    "StabilityRow",
    "SteadyRow",
    "TaskExecution",
    "TaskExecutionLog",
    "TestCase",
    "TestResult",
]


class TaskExecution(Row, table=True):
    """One run. `status` holds the phase."""

    __tablename__ = "task_execution"

    id: int = Field(sa_column=given_key())
    task_id: int = Field(sa_column=plan_column(index=True))
    namespace: str = Field(max_length=128)
    req_def_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    request_num: int = 1
    status: str = Field(max_length=32, index=True)
    analyze_task_id: str | None = Field(default=None, sa_column=text_column(nullable=True))
    record_id: int | None = Field(default=None, sa_column=Column(BigInteger))
    intercept_record_id: str | None = Field(default=None, max_length=64)
    started_at: datetime = Field(sa_column=time_column())
    finished_at: datetime | None = Field(default=None, sa_column=time_column(nullable=True))
    error_code: str | None = Field(default=None, max_length=64)
    error_msg: str | None = Field(default=None, sa_column=text_column(nullable=True))
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
    # The following columns are ours, not the peers'.
    workflow_id: str = Field(sa_column=text_column(index=True))
    run_id: str = Field(max_length=64, unique=True)
    run_status: str = Field(max_length=16)
    verdict: str | None = Field(default=None, max_length=16)
    recovery: str | None = Field(default=None, max_length=16)
    environment: str = Field(sa_column=text_column())
    error_class: str | None = Field(default=None, max_length=8)
    error_phase: str | None = Field(default=None, max_length=32)
    requested_by: str = Field(default="", sa_column=text_column())
    timing_json: str = Field(sa_column=text_column())
    kind: str = Field(default="resilience-test", sa_column=kind_column())
    name: str = Field(default="", sa_column=name_column())
    parent_execution_id: int | None = Field(default=None, sa_column=Column(BigInteger))


class TaskExecutionLog(Row, table=True):
    """The append-only log of a run. Sort by (ts, id)."""

    __tablename__ = "task_execution_log"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "entry_key"),)

    id: int = Field(sa_column=given_key())
    execution_id: int = Field(sa_column=execution_column())
    entry_key: str = Field(sa_column=text_column())
    ts: datetime = Field(sa_column=time_column())
    level: int
    message: str = Field(sa_column=text_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())


class TestCase(Row, table=True):
    """One case."""

    __tablename__ = "test_cases"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "case_index"),)
    __test__: ClassVar[bool] = False

    id: int | None = Field(default=None, sa_column=counted_key())
    task_id: int = Field(sa_column=plan_column())
    case_type: str = Field(max_length=8)
    target_count: int
    faults_json: str = Field(sa_column=text_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
    execution_id: int = Field(sa_column=execution_column())
    case_index: int
    case_id: str = Field(sa_column=text_column())
    services: list[str] = Field(sa_column=Column(AnyJson, nullable=False))


class BaggageMap(Row, table=True):
    """The baggage token of a service in a run."""

    __tablename__ = "baggage_map"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "service_name"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    service_name: str = Field(max_length=200)
    value: str = Field(max_length=1024)
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())


class RecordedService(Row, table=True):
    """What the analysis learned about a service besides its requests.

    The service has a row even when nothing was recorded.
    """

    __tablename__ = "recorded_service"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "service_name"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    service_name: str = Field(max_length=200)
    baggage_forwarded: bool
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())


class RequestPattern(Row, table=True):
    """A recorded request and its healthy answer."""

    __tablename__ = "request_pattern"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "service_name", "position"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    service_name: str = Field(max_length=200)
    position: int
    request_url: str = Field(sa_column=text_column())
    request_method: str = Field(sa_column=text_column())
    raw_path: str = Field(sa_column=text_column())
    request_headers: dict[str, str] = Field(sa_column=Column(AnyJson, nullable=False))
    request_body: str = Field(sa_column=text_column())
    response_status: int
    response_headers: dict[str, str] = Field(sa_column=Column(AnyJson, nullable=False))
    response_body: str = Field(sa_column=text_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())


class InterceptReplayResult(Row, table=True):
    """A service's answer under its fault; rules are made from it."""

    __tablename__ = "intercept_replay_result"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "service_name", "position"),)

    id: int | None = Field(default=None, sa_column=counted_key())
    task_id: int = Field(sa_column=plan_column())
    execution_id: int = Field(sa_column=execution_column())
    service_name: str = Field(max_length=200)
    fault_type: str = Field(max_length=128)
    request_url: str = Field(sa_column=text_column())
    request_method: str = Field(sa_column=text_column())
    request_headers: dict[str, str] | None = Field(default=None, sa_column=Column(AnyJson(none_as_null=True)))
    request_body: str | None = Field(default=None, sa_column=text_column(nullable=True))
    response_status: int
    response_headers: dict[str, str] = Field(sa_column=Column(AnyJson, nullable=False))
    response_body: str = Field(sa_column=text_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
    # The following columns are ours. Request headers and body are not repeated here: `request_pattern` has them.
    position: int
    raw_path: str = Field(sa_column=text_column())
    substituted: bool = False
    no_effect: bool = False
    error_message: str = Field(default="", sa_column=text_column())


class TestResult(Row, table=True):
    """The result of a case.

    p50, p95, p99 (ms) and err_rate (percent) keep the peers' definition for ever.
    """

    __tablename__ = "test_result"
    __table_args__: ClassVar[tuple[Any, ...]] = (UniqueConstraint("execution_id", "test_case_id"),)
    __test__: ClassVar[bool] = False

    id: int | None = Field(default=None, sa_column=counted_key())
    execution_id: int = Field(sa_column=execution_column())
    test_case_id: int = Field(sa_column=case_column())
    p50: int | None = None
    p95: int | None = None
    p99: int | None = None
    err_rate: Decimal | None = Field(default=None, sa_column=Column(Hundredths))
    request_url: str = Field(default="", sa_column=text_column())
    request_method: str = Field(default="", max_length=10)
    response_code: int | None = None
    response_body: str = Field(default="", sa_column=text_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
    # The following columns are ours. `success_*` are latencies of successes only. Null where nothing was measured.
    outcome: str = Field(max_length=16)
    reason: str = Field(default="", sa_column=text_column())
    verdict: str | None = Field(default=None, max_length=16)
    success_p50_us: int | None = Field(default=None, sa_column=Column(BigInteger))
    success_p95_us: int | None = Field(default=None, sa_column=Column(BigInteger))
    success_p99_us: int | None = Field(default=None, sa_column=Column(BigInteger))
    success_max_us: int | None = Field(default=None, sa_column=Column(BigInteger))
    requests: int | None = None
    successes: int | None = None
    errors: int | None = None
    errors_by_kind: dict[str, int] | None = Field(default=None, sa_column=Column(AnyJson(none_as_null=True)))
    duration_us: int | None = Field(default=None, sa_column=Column(BigInteger))
    late_starts: int | None = None
    planned: int | None = None
    seed: int | None = Field(default=None, sa_column=Column(BigInteger))
    control: dict[str, Any] | None = Field(default=None, sa_column=Column(AnyJson(none_as_null=True)))
    comparison: dict[str, Any] | None = Field(default=None, sa_column=Column(AnyJson(none_as_null=True)))
    found_by: str | None = Field(default=None, max_length=16)


class Ledger(Row, table=True):
    """One window: what it switched on, and whether it is verified off."""

    __tablename__ = "ledger"
    __table_args__: ClassVar[tuple[Any, ...]] = (Index(None, "state"),)

    window_id: str = Field(sa_column=Column(String(1000), primary_key=True))
    run_id: str = Field(sa_column=Column(String(64), primary_key=True))
    execution_id: int = Field(sa_column=execution_column(index=True))
    parent_workflow_id: str = Field(sa_column=text_column())
    parent_run_id: str = Field(max_length=64)
    kind: str = Field(max_length=16)
    service: str = Field(default="", max_length=200)
    peer_name: str = Field(default="", sa_column=text_column())
    state: str = Field(max_length=16)
    close_by: datetime = Field(sa_column=time_column())
    detail: str = Field(default="", sa_column=text_column())
    created_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
    updated_at: datetime = Field(default_factory=utc_now, sa_column=time_column())
