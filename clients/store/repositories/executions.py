"""Repository of plans and runs."""

from __future__ import annotations

import secrets
import time
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Select, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from clients.http.request_definitions import definition_of
from clients.store.changes import ExecutionCreated
from clients.store.decoding import DamagedRow, Rows, facts_of
from clients.store.engine import reading, writing
from clients.store.read_models import ExecutionRow, RunFilter, UnfinishedRun
from clients.store.repositories.definitions import save_definition
from clients.store.repositories.ended import under_way, unknown_execution
from clients.store.repositories.listing import NEWEST_FIRST, narrowed
from clients.store.repositories.progress import note_phase
from clients.store.repositories.reported import execution_ended, phase_left
from clients.store.repository import Repository
from clients.store.schema.columns import storable, utc_now
from clients.store.schema.tables import PlanSnapshot, TaskExecution
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_missing, insert_under_own_id
from domain.errors import ERRORS, ErrorCode, HoldfastError
from domain.executions.execution import Ending, Execution, ExecutionRecord, NewRecord, RunStatus, StepChange, Verdict
from domain.names import record_id
from domain.plans.canonical import canonical_json, content_id, sha256
from domain.plans.environments import environment_of
from domain.plans.lenient import LenientPlan, read_leniently
from domain.plans.plan import Plan
from domain.resilience.model import RESILIENCE_TEST, NewExecution, Phase, PhaseChange
from domain.timing import Timing

_RANDOM_BITS = 21

LONGEST_STEP = 32
"""Characters of a step in the store. Steps of definitions that users write may have longer names."""

MOST_LISTED = 1_000
"""Most runs in one listing."""


_NO_PLAN = "unreadable"
"""Name shown for a plan that is not in the store."""


def new_execution_id() -> int:
    """Create a 53-bit id: epoch seconds x 2^21 + 21 random bits.

    It stays unique across deleted databases and several installations.
    """
    return (int(time.time()) << _RANDOM_BITS) + secrets.randbits(_RANDOM_BITS)


class Executions(Repository):
    """Repository of runs and their plans.

    Methods raise NOT_FOUND for an unknown run, and the codes of `translated`.
    """

    @uncancellable
    async def create(self, new: NewExecution, plan: Plan, timing: Timing, environment: str | None = None) -> Execution:
        """Store plan, request and run, in phase GENERATING_CASES.

        A retry with the same run id changes nothing. The result is built from the stored rows, so a retry on a newer
        worker, which may serialise the plan differently, returns the same.

        Without an environment, the address of the plan's fault service is used instead.
        """
        environment = environment or environment_of(plan, {})
        known = select(TaskExecution).where(col(TaskExecution.run_id) == new.run_id)
        async with writing(self._engine) as work:
            row = (await work.execute(known)).scalar_one_or_none()
            created = False
            if row is None:
                request = definition_of(plan)
                await insert_missing(work, PlanSnapshot, [_snapshot(plan)], "id")
                await save_definition(work, request)
                facts = {"req_def_id": request.id, "environment": environment}
                row, created = await insert_under_own_id(
                    work, TaskExecution, lambda: _new_row(new, plan, timing) | facts, known
                )
            execution = _execution(row, await work.get_one(PlanSnapshot, row.task_id))
        if created:
            self._report(ExecutionCreated(RESILIENCE_TEST))
        return execution

    @uncancellable
    async def create_record(self, new: NewRecord, name: str, timing: Timing) -> ExecutionRecord:
        """Store the definition and the record of an execution that acts on no system.

        A retry with the same run id changes nothing, as in `create`.
        """
        known = select(TaskExecution).where(col(TaskExecution.run_id) == new.run_id)
        async with writing(self._engine) as work:
            row = (await work.execute(known)).scalar_one_or_none()
            created = False
            if row is None:
                await insert_missing(work, PlanSnapshot, [_definition(new, name)], "id")
                row, created = await insert_under_own_id(
                    work, TaskExecution, lambda: _new_record(new, name, timing), known
                )
            record = ExecutionRecord(execution_id=row.id, timing=_timing(row.timing_json), started_at=row.started_at)
        if created:
            self._report(ExecutionCreated(new.kind))
        return record

    async def change_step(self, change: StepChange) -> None:
        """Move an execution without phases to a step; the last call wins. One with phases stays as it is."""
        without_phases = col(TaskExecution.kind) != RESILIENCE_TEST
        step = storable(change.step)[:LONGEST_STEP]
        await self._update(change.execution_id, {"status": step}, under_way() & without_phases)

    @uncancellable
    async def get(self, execution_id: int) -> Execution:
        """Return one run, in the form workflows use."""
        async with reading(self._engine) as work:
            row, snapshot = await _with_plan(work, execution_id)
            return self._damage.one(row, lambda found: _execution(found, snapshot))

    @uncancellable
    async def plan(self, execution_id: int) -> Plan:
        """Return the plan that a run was started with.

        Raises:
            HoldfastError: STORE_CONFLICT when this version cannot read the plan, NOT_FOUND for an unknown run.
        """
        async with reading(self._engine) as work:
            _, snapshot = await _with_plan(work, execution_id)
        try:
            return Plan.model_validate_json(snapshot.canonical_json if snapshot else "")
        except ValueError as error:
            raise _illegible(execution_id) from error

    @uncancellable
    async def plan_for_closing(self, execution_id: int) -> LenientPlan:
        """Return the plan as far as it can be read.

        This is enough for closing and reporting, but never for starting.
        """
        async with reading(self._engine) as work:
            row = await work.get(TaskExecution, execution_id)
            if row is None:
                raise unknown_execution(execution_id)
            snapshot = await work.get(PlanSnapshot, row.task_id)
            read = _lenient(row, snapshot)
        if read.trouble:
            self._damage.note(_damaged_plan(row, snapshot, read.trouble))
        return read

    async def change_phase(self, change: PhaseChange) -> None:
        """Move a run to a phase; the last call wins.

        Ids that are None stay as they are. A run that has ended stays as it is.
        """
        ids = {"analyze_task_id": change.analyze_task_id, "intercept_record_id": change.intercept_record_id}
        given = {name: value for name, value in ids.items() if value is not None}
        await self._update(change.execution_id, {"status": change.phase.value, **given}, under_way(), change.phase)

    async def finish(self, ending: Ending, run_id: str | None = None) -> None:
        """Record how a run ended; the first end stands.

        A later call with the same status corrects only the recovery. With `run_id`, only the end of that run is
        recorded. An ending without a verdict keeps the verdict stored by judging.

        Raises:
            HoldfastError: STORE_CONFLICT when the execution belongs to another run.
        """
        if run_id is not None and (await self.row(ending.execution_id)).run_id != run_id:
            raise HoldfastError(ErrorCode.STORE_CONFLICT, f"execution {ending.execution_id} belongs to another run")
        facts: dict[str, Any] = {
            "status": ending.phase.value,
            "run_status": ending.status.value,
            "recovery": ending.recovery.value,
            "error_code": ending.error_code.value if ending.error_code else None,
            "error_class": ERRORS[ending.error_code].error_class.value if ending.error_code else None,
            "error_phase": storable(ending.error_phase or "")[:LONGEST_STEP] or None,
            "error_msg": self._cleaned(ending.error_message) or None,
            "finished_at": utc_now(),
        }
        if ending.verdict:
            facts["verdict"] = ending.verdict.value
        await self._update(ending.execution_id, facts, under_way())
        same = ~under_way() & (col(TaskExecution.run_status) == ending.status.value)
        await self._update(ending.execution_id, {"recovery": ending.recovery.value}, same)

    async def set_verdict(self, execution_id: int, verdict: Verdict) -> None:
        """Store a run's verdict; that of an ended run stays."""
        await self._update(execution_id, {"verdict": verdict.value}, under_way())

    @uncancellable
    async def _update(
        self, execution_id: int, facts: dict[str, Any], may_change: ColumnElement[bool], phase: Phase | None = None
    ) -> None:
        """Change a run only if `may_change` holds for it; note the phase that it enters by that."""
        statement = update(TaskExecution).where(col(TaskExecution.id) == execution_id, may_change)
        async with writing(self._engine) as work:
            changed = cast("CursorResult[Any]", await work.execute(statement.values(updated_at=utc_now(), **facts)))
            if await work.get(TaskExecution, execution_id) is None:
                raise unknown_execution(execution_id)
            entered = phase is not None and changed.rowcount and await note_phase(work, execution_id, phase)
        if entered:
            await self._report_read(lambda work: phase_left(work, execution_id))
        if "finished_at" in facts and changed.rowcount:
            await self._report_read(lambda work: execution_ended(work, execution_id))

    @uncancellable
    async def row(self, execution_id: int) -> ExecutionRow:
        """Return the record, for people; the plan may be unreadable."""
        async with reading(self._engine) as work:
            row, snapshot = await _with_plan(work, execution_id)
            return self._damage.one(row, lambda found: _read(found, snapshot.name if snapshot else None))

    @uncancellable
    async def latest_of(self, workflow_id: str) -> ExecutionRow | None:
        """Return the newest run of a workflow id, also of those that its schedule started, or None."""
        newest = (
            select(TaskExecution, col(PlanSnapshot.name))
            .join(PlanSnapshot, col(TaskExecution.task_id) == col(PlanSnapshot.id), isouter=True)
            .where(or_(col(TaskExecution.workflow_id) == workflow_id, _is_scheduled(workflow_id)))
            .order_by(col(TaskExecution.created_at).desc(), col(TaskExecution.id).desc())
            .limit(1)
        )
        async with reading(self._engine) as work:
            found = (await work.execute(newest)).first()
        return self._damage.one(found, lambda row: _read(*row)) if found else None

    async def newest(self, limit: int, only: RunFilter | None = None) -> Rows[ExecutionRow]:
        """List the newest runs that match the filter, newest first.

        Returns at most `MOST_LISTED` + 1 runs. The extra one shows that there are more.
        """
        return await self._list(narrowed(NEWEST_FIRST, only or RunFilter()).limit(min(limit, MOST_LISTED + 1)))

    @uncancellable
    async def unfinished(self) -> Rows[UnfinishedRun]:
        """List every run without a recorded end, newest first.

        Such a run is still in progress, or it ended without anything to record its end.
        """
        wanted = NEWEST_FIRST.where(col(TaskExecution.finished_at).is_(None))
        async with reading(self._engine) as work:
            return self._damage.all(await work.execute(wanted), _unfinished, may_be_on=True)

    @uncancellable
    async def kinds_under_way(self) -> dict[str, int]:
        """Count the runs without a recorded end, by kind."""
        counted = select(col(TaskExecution.kind), func.count()).where(under_way()).group_by(col(TaskExecution.kind))
        async with reading(self._engine) as work:
            # Groups, not rows: whatever a row holds is counted.
            groups = (await work.execute(counted)).all()
        return {str(kind): int(number) for kind, number in groups}

    @uncancellable
    async def _list(self, wanted: Select[TaskExecution, str]) -> Rows[ExecutionRow]:
        async with reading(self._engine) as work:
            return self._damage.all(await work.execute(wanted), lambda found: _read(*found))


async def _with_plan(work: AsyncSession, execution_id: int) -> tuple[TaskExecution, PlanSnapshot | None]:
    row = await work.get(TaskExecution, execution_id)
    if row is None:
        raise unknown_execution(execution_id)
    return row, await work.get(PlanSnapshot, row.task_id)


def _snapshot(plan: Plan) -> dict[str, Any]:
    text = canonical_json(plan)
    return {
        "id": content_id(text),
        "sha256": sha256(text),
        "schema_version": plan.holdfast,
        "name": plan.name,
        "canonical_json": text,
        "created_at": utc_now(),
    }


def _definition(new: NewRecord, name: str) -> dict[str, Any]:
    # Plans are known by the digest of their text. Those of other kinds carry the kind, so that none can be a plan's.
    named = f"{new.kind}:{new.definition_json}"
    return {
        "id": content_id(named),
        "sha256": sha256(named),
        "schema_version": 1,
        "name": name,
        "canonical_json": new.definition_json,
        "kind": new.kind,
        "created_at": utc_now(),
    }


def _new_row(new: NewExecution, plan: Plan, timing: Timing) -> dict[str, Any]:
    return _beginning(new, plan.name, timing) | {
        "task_id": content_id(canonical_json(plan)),
        "namespace": plan.system.namespace,
        "request_num": plan.load.most_requests,
        "status": Phase.GENERATING_CASES.value,
    }


def _new_record(new: NewRecord, name: str, timing: Timing) -> dict[str, Any]:
    return _beginning(new, name, timing) | {
        "task_id": _definition(new, name)["id"],
        "namespace": "",
        "req_def_id": 0,
        "environment": "",
        "status": "",
        "kind": new.kind,
        "parent_execution_id": new.parent_execution_id,
    }


def _beginning(new: NewExecution | NewRecord, name: str, timing: Timing) -> dict[str, Any]:
    now = utc_now()
    return {
        "id": new_execution_id(),
        "name": name,
        "started_at": now,
        "created_at": now,
        "updated_at": now,
        "workflow_id": new.workflow_id,
        "run_id": new.run_id,
        "run_status": RunStatus.RUNNING.value,
        "requested_by": new.requested_by,
        "timing_json": timing.model_dump_json(),
    }


def _execution(row: TaskExecution, snapshot: PlanSnapshot | None) -> Execution:
    return Execution(
        execution_id=row.id,
        task_id=row.task_id,
        req_def_id=row.req_def_id,
        record_id=record_id(row.id),
        plan_sha256=snapshot.sha256 if snapshot else "",
        environment=row.environment,
        namespace=row.namespace,
        services=_lenient(row, snapshot).plan.service_names,
        timing=_timing(row.timing_json),
        started_at=row.started_at,
    )


def _timing(text: str) -> Timing:
    """Read the stored intervals.

    When they are unreadable, use the production defaults, because these wait longest.
    """
    try:
        return Timing.model_validate_json(text)
    except ValueError:
        return Timing()


_TIME_OF_START = "-20__-__-__T__:__:__Z"
"""What Temporal adds to a schedule's workflow id for each run that it starts, as a pattern for LIKE."""


def _is_scheduled(workflow_id: str) -> ColumnElement[bool]:
    """Build the SQL condition that a run was started by the schedule of this workflow id."""
    escaped = workflow_id.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return col(TaskExecution.workflow_id).like(escaped + _TIME_OF_START, escape="\\")


def _lenient(row: TaskExecution, snapshot: PlanSnapshot | None) -> LenientPlan:
    text, name = (snapshot.canonical_json, snapshot.name) if snapshot else ("", "")
    return read_leniently(text, name=name or _NO_PLAN, namespace=row.namespace)


def _damaged_plan(row: TaskExecution, snapshot: PlanSnapshot | None, trouble: str) -> DamagedRow:
    if snapshot is None:
        return DamagedRow(table="task_execution", row=f"id={row.id}", trouble="its plan is not in plan_snapshot")
    return DamagedRow(table="plan_snapshot", row=f"id={snapshot.id}", trouble=f"read in part: {trouble}")


def _illegible(execution_id: int) -> HoldfastError:
    return HoldfastError(
        ErrorCode.STORE_CONFLICT,
        f"the stored plan of execution {execution_id} cannot be read by this version",
        hint="start a new run from the plan's file; closing and reporting go on with what can be read",
    )


def _read(row: TaskExecution, plan: str | None) -> ExecutionRow:
    named = {"execution_id": row.id, "plan": _NO_PLAN if plan is None else plan, "error_message": row.error_msg or ""}
    return ExecutionRow.model_validate(facts_of(row) | named)


def _unfinished(found: Any) -> UnfinishedRun:
    row = found[0]
    return UnfinishedRun(execution_id=row.id, workflow_id=row.workflow_id, run_id=row.run_id)
