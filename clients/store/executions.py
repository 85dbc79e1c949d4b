"""Plans, runs and their logs."""

from __future__ import annotations

import itertools
import secrets
import time
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.engine import session
from clients.store.read_models import ExecutionRow, LogEntry, LogLevel
from clients.store.tables import PlanSnapshot, TaskExecution, TaskExecutionLog, utc_now
from clients.store.upsert import insert_missing
from workflows.contracts.errors import ERRORS, ErrorCode, HoldfastError
from workflows.contracts.execution import Ending, Execution, NewExecution, Phase, PhaseChange, RunStatus, Verdict
from workflows.contracts.plan import Plan
from workflows.contracts.timing import Timing
from workflows.logic.canonical import canonical_json, content_id, request_id, sha256
from workflows.names import record_id

_RANDOM_BITS = 21
_LOG_SEQUENCE_BITS = 20
_sequence = itertools.count(secrets.randbits(_LOG_SEQUENCE_BITS))


def new_execution_id() -> int:
    """53 bits: epoch seconds x 2^21 + 21 random bits, unique over deleted databases and second installations."""
    return (int(time.time()) << _RANDOM_BITS) + secrets.randbits(_RANDOM_BITS)


def _log_id() -> int:
    """(epoch milliseconds << 20) | sequence, as the peers make it: sorts by time."""
    return (time.time_ns() // 1_000_000 << _LOG_SEQUENCE_BITS) | (next(_sequence) % (1 << _LOG_SEQUENCE_BITS))


class Executions:
    """Repository of runs. Errors: NOT_FOUND for an unknown run, STORE_ codes from the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, new: NewExecution, plan: Plan, timing: Timing) -> Execution:
        """Store plan and run; a repetition for the same run id finds the first one's row."""
        text = canonical_json(plan)
        now = utc_now()
        snapshot = {
            "id": content_id(text),
            "sha256": sha256(text),
            "schema_version": plan.holdfast,
            "name": plan.name,
            "canonical_json": text,
            "created_at": now,
        }
        run = {
            "id": new_execution_id(),
            "task_id": content_id(text),
            "namespace": plan.system.namespace,
            "req_def_id": request_id(plan),
            "request_num": plan.load.requests,
            "status": Phase.GENERATING_CASES.value,
            "started_at": now,
            "created_at": now,
            "updated_at": now,
            "workflow_id": new.workflow_id,
            "run_id": new.run_id,
            "run_status": RunStatus.RUNNING.value,
            "environment": plan.environment,
            "requested_by": new.requested_by,
            "timing_json": timing.model_dump_json(),
        }
        async with session(self._engine) as work:
            await insert_missing(work, PlanSnapshot, [snapshot], "id")
            await insert_missing(work, TaskExecution, [run], "run_id")
            row = (await work.execute(select(TaskExecution).where(_is(TaskExecution.run_id, new.run_id)))).scalar_one()
        return _execution(row, plan)

    async def get(self, execution_id: int) -> Execution:
        """One run, as workflows know it."""
        row, plan = await self._with_plan(execution_id)
        return _execution(row, plan)

    async def plan(self, execution_id: int) -> Plan:
        """The plan that a run was started with."""
        return (await self._with_plan(execution_id))[1]

    async def _with_plan(self, execution_id: int) -> tuple[TaskExecution, Plan]:
        async with session(self._engine) as work:
            row = await work.get(TaskExecution, execution_id)
            snapshot = await work.get(PlanSnapshot, row.task_id) if row else None
        if row is None or snapshot is None:
            raise HoldfastError(ErrorCode.NOT_FOUND, f"the store has no execution {execution_id}")
        return row, Plan.model_validate_json(snapshot.canonical_json)

    async def change_phase(self, change: PhaseChange) -> None:
        """Move a run to a phase."""
        facts = {"status": change.phase.value, "analyze_task_id": change.analyze_task_id}
        facts["intercept_record_id"] = change.intercept_record_id
        await self._update(change.execution_id, {name: value for name, value in facts.items() if value is not None})

    async def finish(self, ending: Ending) -> None:
        """Write how a run ended. A repetition is harmless; a later call corrects an earlier one.

        The verdict that judging stored is kept when the ending has none.
        """
        facts: dict[str, Any] = {
            "status": ending.phase.value,
            "run_status": ending.status.value,
            "recovery": ending.recovery.value,
            "error_code": ending.error_code.value if ending.error_code else None,
            "error_class": ERRORS[ending.error_code].error_class.value if ending.error_code else None,
            "error_phase": ending.error_phase.value if ending.error_phase else None,
            "error_msg": ending.error_message or None,
            "finished_at": utc_now(),
        }
        if ending.verdict:
            facts["verdict"] = ending.verdict.value
        await self._update(ending.execution_id, facts)

    async def set_verdict(self, execution_id: int, verdict: Verdict) -> None:
        """Store what the run found."""
        await self._update(execution_id, {"verdict": verdict.value})

    async def _update(self, execution_id: int, facts: dict[str, Any]) -> None:
        async with session(self._engine) as work:
            statement = update(TaskExecution).where(_is(TaskExecution.id, execution_id))
            done = await work.execute(statement.values(updated_at=utc_now(), **facts))
        if not getattr(done, "rowcount", 0):
            raise HoldfastError(ErrorCode.NOT_FOUND, f"the store has no execution {execution_id}")

    async def row(self, execution_id: int) -> ExecutionRow:
        """The record, as people read it."""
        row, plan = await self._with_plan(execution_id)
        return _read(row, plan.name)

    async def latest_of(self, workflow_id: str) -> ExecutionRow | None:
        """The newest run of a workflow id."""
        newest = select(TaskExecution).where(_is(TaskExecution.workflow_id, workflow_id))
        async with session(self._engine) as work:
            row = (await work.execute(newest.order_by(_desc(TaskExecution.id)).limit(1))).scalar_one_or_none()
        return await self.row(row.id) if row else None

    async def log(self, execution_id: int, key: str, level: LogLevel, message: str) -> None:
        """Append a line; the same key of the same run is one line."""
        now = utc_now()
        entry = {
            "id": _log_id(),
            "execution_id": execution_id,
            "entry_key": key[:255],
            "ts": now,
            "level": int(level),
            "message": message,
            "created_at": now,
        }
        async with session(self._engine) as work:
            await insert_missing(work, TaskExecutionLog, [entry], "execution_id", "entry_key")

    async def log_entries(self, execution_id: int) -> list[LogEntry]:
        """A run's log, in order."""
        lines = select(TaskExecutionLog).where(_is(TaskExecutionLog.execution_id, execution_id))
        async with session(self._engine) as work:
            rows = (await work.execute(lines.order_by(_asc(TaskExecutionLog.ts), _asc(TaskExecutionLog.id)))).scalars()
            return [LogEntry(ts=row.ts, level=LogLevel(row.level), message=row.message) for row in rows]


def _is(column: Any, value: object) -> Any:
    return column == value


def _desc(column: Any) -> Any:
    return column.desc()


def _asc(column: Any) -> Any:
    return column.asc()


def _execution(row: TaskExecution, plan: Plan) -> Execution:
    return Execution(
        execution_id=row.id,
        task_id=row.task_id,
        req_def_id=row.req_def_id,
        record_id=record_id(row.id),
        plan_sha256=sha256(canonical_json(plan)),
        environment=row.environment,
        namespace=row.namespace,
        services=plan.service_names,
        timing=Timing.model_validate_json(row.timing_json),
        started_at=row.started_at,
    )


def _read(row: TaskExecution, plan: str) -> ExecutionRow:
    facts = row.model_dump()
    return ExecutionRow.model_validate(
        facts | {"execution_id": row.id, "plan": plan, "error_message": row.error_msg or ""}
    )
