"""The lock of an environment: clean before, settled after, and the last word on how a run ended."""

from __future__ import annotations

import asyncio

from temporalio import activity

from activities.base import closing_deadline, poll, step
from activities.left_over import left_over
from activities.steady import steady_again, was_touched
from activities.targets import require_targets
from activities.toolbox import Toolbox
from clients.runs import RunDirectory, RunEnd
from clients.store.read_models import LogLevel
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.execution import Ending, ExecutionRef, Phase, Recovery, RunStatus
from workflows.contracts.windows import (
    SETTLED,
    Closing,
    LedgerEntry,
    LedgerState,
    LockHolder,
    LockWait,
    OpenWindows,
    RunRef,
    WindowKind,
)
from workflows.names import FAULT_PREFIX, base36

_PHASE_OF = {RunStatus.COMPLETED: Phase.DONE, RunStatus.CANCELLED: Phase.CANCELLED}


class LockActivities:
    """Looks at peers, ledger and server before the first and after the last thing a run does."""

    def __init__(self, tools: Toolbox, runs: RunDirectory) -> None:
        self._tools = tools
        self._runs = runs

    @activity.defn(name="describe_holder")
    @step
    async def describe_holder(self, wait: LockWait) -> LockHolder:
        """Who holds the lock; empty when it has just become free."""
        return await self._runs.holder(wait.lock_id) or LockHolder()

    @activity.defn(name="await_lock_free")
    @step
    async def await_free(self, wait: LockWait) -> None:
        """Wait until the lock's workflow has ended; with `cancel_holder`, its run is asked to end first."""
        holder = await self._runs.holder(wait.lock_id)
        if holder and wait.cancel_holder:
            await self._runs.cancel(holder.workflow_id, holder.run_id)
        while await self._runs.is_running(wait.lock_id):  # noqa: ASYNC110 - the event is on the server
            await asyncio.sleep(_LOCK_POLL_SECONDS)

    @activity.defn(name="await_run_ended")
    @step
    async def await_run_ended(self, run: RunRef) -> None:
        """Wait until the run is closed, by the server's own word."""
        while await self._runs.is_running(run.workflow_id, run.run_id):  # noqa: ASYNC110 - the event is on the server
            await asyncio.sleep(_LOCK_POLL_SECONDS)

    @activity.defn(name="preflight")
    @step
    async def preflight(self, order: ExecutionRef) -> None:
        """See that the services are there, and that nothing is left over from anyone: no sidecar, no fault of ours.

        Whether everything is halted is read here, with the lock in hand: whoever halts cancels every run that the store
        knows after the flag is set, so that a run which has read it too early is among them.

        Raises:
            HoldfastError: HALTED, with the operator's reason; VALIDATION_ERROR, naming services without a Deployment;
                ENVIRONMENT_NOT_CLEAN, naming what is on and how to look at it.
        """
        subject = await self._tools.subject(order.execution_id)
        halt = await self._tools.store.halted()
        if halt is not None:
            hint = "nothing was touched; `holdfast unhalt` lets runs begin again"
            raise HoldfastError(ErrorCode.HALTED, str(halt), hint=hint)
        await require_targets(self._tools, subject)
        left = await left_over(self._tools, subject, FAULT_PREFIX)
        if left:
            raise HoldfastError(
                ErrorCode.ENVIRONMENT_NOT_CLEAN,
                f"something is still on in {subject.namespace}: {'; '.join(left)}",
                hint="`holdfast recover` closes what is ours, the rest is for a hand; nothing was touched",
            )

    @activity.defn(name="await_windows_settled")
    @step
    async def await_settled(self, order: ExecutionRef) -> OpenWindows:
        """Wait until no ledger row of the execution is open; those still open after `timeouts.recovery` are reported.

        A row left unverified is not waited for: its window has already used its time.
        """
        subject = await self._tools.subject(order.execution_id)
        waited_for = (*SETTLED, LedgerState.UNVERIFIED)

        async def look() -> bool | None:
            rows = await self._tools.store.ledger_of(order.execution_id)
            return all(row.state in waited_for for row in rows if row.kind is not WindowKind.LOCK) or None

        timing = subject.execution.timing
        # With a worker that comes late the windows only begin to close when this begins to look.
        end = closing_deadline(subject.plan.timeouts.recovery + timing.close_grace, timing.close_grace)
        await poll(look, end=end, every=timing.poll)
        return OpenWindows(windows=await open_windows(self._tools, order.execution_id))

    @activity.defn(name="verify_environment")
    @step
    async def verify(self, order: ExecutionRef) -> Closing:
        """See once more, at the peers, that nothing of this execution is on, and that the request is as it was."""
        subject = await self._tools.subject(order.execution_id)
        ours = f"{FAULT_PREFIX}{base36(order.execution_id)}-"

        left = ["the peers could not be asked whether everything is off"]

        async def look() -> bool | None:
            nonlocal left
            left = await left_over(self._tools, subject, ours)
            return None if left else True

        longest, at_least = subject.plan.timeouts.stability, subject.execution.timing.call_timeout
        end = closing_deadline(longest, at_least)
        verified = await poll(look, end=end, every=subject.execution.timing.poll, stubborn=True)
        if not verified:
            return Closing(verified=False, detail="; ".join(left))
        if subject.plan.steady_state.check and await was_touched(self._tools, order.execution_id):
            # A time of its own: a system whose peers were late to be clean may still be settling.
            why = await steady_again(self._tools, subject, closing_deadline(longest * 2, at_least))
            return Closing(
                verified=not why, detail=f"nothing is on, but the steady state is not met: {why}" if why else ""
            )
        return Closing(verified=True)

    @activity.defn(name="finish_from_server")
    @step
    async def finish_from_server(self, run: RunRef) -> Ending:
        """Write how the run ended, from the server's own description: it alone knows of termination and timeouts."""
        return await write_ending(self._tools, self._runs, run)


async def write_ending(tools: Toolbox, runs: RunDirectory, run: RunRef) -> Ending:
    """Wait until a run is closed, then write how it ended. A repetition writes the same."""
    end = await runs.end_of(run.workflow_id, run.run_id)
    while end is None:
        await asyncio.sleep(_LOCK_POLL_SECONDS)
        end = await runs.end_of(run.workflow_id, run.run_id)
    ending = _ending(run, end)
    await tools.store.finish(ending)
    level = LogLevel.ERROR if ending.error_code or ending.recovery is Recovery.UNVERIFIED else LogLevel.INFO
    message = f"{ending.status}, recovery {ending.recovery}. {ending.error_message}".strip()
    await tools.store.log(run.execution_id, "finished", level, message)
    return ending


async def open_windows(tools: Toolbox, execution_id: int) -> list[str]:
    """Windows of an execution whose ledger row is not settled; its lock, which ends last, is not counted."""
    rows = await tools.store.ledger_of(execution_id)
    return [row.window_id for row in rows if row.kind is not WindowKind.LOCK and row.state not in SETTLED]


async def run_of(tools: Toolbox, lock: LedgerEntry) -> RunRef:
    """The run that a lock's ledger row belongs to, with its recovery as the ledger knows it."""
    left = await open_windows(tools, lock.execution_id)
    return RunRef(
        execution_id=lock.execution_id,
        workflow_id=lock.parent_workflow_id,
        run_id=lock.parent_run_id,
        recovery=Recovery.UNVERIFIED if left else Recovery.VERIFIED,
    )


_LOCK_POLL_SECONDS = 0.25
"""Between two looks at the Temporal server, which is ours and near."""


def _ending(run: RunRef, end: RunEnd) -> Ending:
    failure = end.failure
    code = failure.code if failure else None
    if end.status is RunStatus.FAILED and code is None:
        code = ErrorCode.TERMINATED if end.terminated else ErrorCode.UNEXPECTED
    status = end.status
    if code is ErrorCode.DEADLINE_EXCEEDED:
        status = RunStatus.TIMED_OUT
    if status is RunStatus.TIMED_OUT:
        code = ErrorCode.DEADLINE_EXCEEDED
    return Ending(
        execution_id=run.execution_id,
        status=status,
        phase=_PHASE_OF.get(status, Phase.FAILED),
        recovery=run.recovery,
        verdict=end.summary.verdict if end.summary else None,
        error_code=code,
        error_phase=failure.phase if failure else None,
        error_message=failure.message if failure else end.message,
    )
