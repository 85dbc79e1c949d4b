"""Activities of the namespace's lock: wait for it, check everything before the run, verify everything after it."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

from temporalio import activity

from activities.base import poll_until
from activities.clocks import closing_deadline
from activities.permit import TAKE_LOCK, Permit, acts, closes, reads, why_not_check_steady_state
from activities.recovery.active_at_peers import left_active
from activities.recovery.clean_before_run import BY as CLEANER
from activities.recovery.clean_before_run import Cleaner
from activities.run.ended_runs import SERVER_POLL, write_ending
from activities.run.other_runs import OtherRuns
from activities.stages.steady import wait_until_steady, was_touched
from activities.stages.targets import require_targets
from activities.toolbox import Subject, Toolbox
from clients.temporal.runs import RunDirectory
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Ending, ExecutionRef, Leftovers
from domain.executions.windows import (
    SETTLED,
    Closing,
    LedgerEntry,
    LedgerState,
    LockHolder,
    LockWait,
    OpenWindows,
    OthersWait,
    PreflightOrder,
    PreflightReport,
    RunRef,
    WindowKind,
)
from domain.names import FAULT_PREFIX, base36, lock_of, lock_workflow_id
from domain.plans.durations import settled_within
from domain.plans.environments import ENVIRONMENTS, environment_of

_APART = 2.0
"""Longest random delay in seconds between runs that waited for each other."""


class LockActivities:
    """Checks peers, ledger and server before and after a run's acts."""

    def __init__(self, tools: Toolbox, runs: RunDirectory) -> None:
        self._tools = tools
        self._runs = runs

    @activity.defn(name="describe_holder")
    @reads
    async def describe_holder(self, wait: LockWait) -> LockHolder:
        """Return who holds the lock; empty if it has just become free."""
        return await self._runs.holder(wait.lock_id) or LockHolder()

    @activity.defn(name="await_lock_free")
    @closes
    async def await_free(self, wait: LockWait) -> None:
        """Wait until the lock's workflow has ended.

        With `cancel_holder`, cancel its run first.
        """
        holder = await self._runs.holder(wait.lock_id)
        if holder and wait.cancel_holder:
            await self._runs.cancel(holder.workflow_id, holder.run_id)
        while await self._runs.is_running(wait.lock_id):  # noqa: ASYNC110 - the event is on the server
            await asyncio.sleep(SERVER_POLL)

    @activity.defn(name="describe_others")
    @reads
    async def describe_others(self, order: ExecutionRef) -> LockHolder:
        """Return another run on the same places under another lock.

        Empty if there is none any more.
        """
        living = await self._others(await self._tools.subject(order.execution_id)).still_running()
        if not living:
            return LockHolder()
        row = living[0]
        record = await self._tools.store.executions.row(row.execution_id)
        return LockHolder(
            plan=record.plan,
            workflow_id=row.parent_workflow_id,
            run_id=row.parent_run_id,
            execution_id=row.execution_id,
        )

    @activity.defn(name="await_others_gone")
    @closes
    async def await_others(self, wait: OthersWait) -> None:
        """Wait until no other run acts on the same places.

        With `cancel`, cancel those runs first.
        """
        others = self._others(await self._tools.subject(wait.execution_id))
        if wait.cancel:
            for workflow_id, run_id in {
                (row.parent_workflow_id, row.parent_run_id) for row in await others.still_running()
            }:
                await self._runs.cancel(workflow_id, run_id)
        while await others.still_running():  # noqa: ASYNC110 - the event is on the server and in the store
            await asyncio.sleep(SERVER_POLL)
        # Otherwise two runs that wait for each other would check again at the same moment, for ever.
        await asyncio.sleep(random.uniform(0, _APART))  # noqa: S311 - not a secret

    def _others(self, subject: Subject) -> OtherRuns:
        return OtherRuns(self._tools, self._runs, subject, self._tools.rails.environments)

    @activity.defn(name="await_run_ended")
    @reads
    async def await_run_ended(self, run: RunRef) -> None:
        """Wait until the server reports the run as closed."""
        while await self._runs.is_running(run.workflow_id, run.run_id):  # noqa: ASYNC110 - the event is on the server
            await asyncio.sleep(SERVER_POLL)

    @activity.defn(name="preflight")
    @acts(TAKE_LOCK)
    async def preflight(self, order: PreflightOrder, permit: Permit) -> PreflightReport | None:  # None in old histories
        """Check that the services exist and that nothing is left over.

        Left over means a sidecar of anyone in the services, or a fault of ours. With `leftovers: clean`, what is left
        over in the plan's services is switched off first, and reported.

        Raises:
            HoldfastError: NO_PERMIT. OUTSIDE_GUARDRAILS when the calling lock is not that of the run's places. HALTED,
                with the operator's reason. VALIDATION_ERROR, naming services without a Deployment.
                EXECUTION_ALREADY_RUNNING, naming a run on the same places under another lock. ENVIRONMENT_NOT_CLEAN,
                naming what is active and how to look at it. After cleaning, SERVICE_NOT_STABLE.
        """
        subject = permit.subject
        self._require_right_lock(subject)
        await self._require_no_halt()
        await require_targets(self._tools, subject)
        others = self._others(subject)
        cleans = order.leftovers is Leftovers.CLEAN
        if not cleans or await others.still_running():
            await others.raise_if_any()
        left = await left_active(self._tools, subject, FAULT_PREFIX)
        cleaned: list[str] = []
        if cleans:
            cleaned = await self._clean(subject, others, anything_left=bool(left))
            left = await left_active(self._tools, subject, FAULT_PREFIX)
        if left:
            raise _not_clean(subject, left, cleaned)
        return PreflightReport(cleaned=cleaned)

    async def _require_no_halt(self) -> None:
        # Read while the lock is held. `halt` first sets the flag, then cancels every run that the store knows. So a run
        # that reads the flag too early is among the cancelled ones.
        halt = await self._tools.store.halting.halted()
        if halt is not None:
            hint = "nothing was touched; `holdfast unhalt` lets runs begin again"
            raise HoldfastError(ErrorCode.HALTED, str(halt), hint=hint)

    async def _clean(self, subject: Subject, others: OtherRuns, *, anything_left: bool) -> list[str]:
        """Switch off what is left over, close abandoned windows of other runs, and return what was removed."""
        limits = subject.plan.timeouts
        end = closing_deadline(limits.recovery, subject.execution.timing.call_timeout)
        cleaner = Cleaner(self._tools, self._runs, subject)
        cleaned = await cleaner.clean(end, limits.stability) if anything_left else []
        await others.close_abandoned(end, CLEANER)
        await others.raise_if_any()
        return cleaned

    def _require_right_lock(self, subject: Subject) -> None:
        """Refuse a lock that is wrong by this worker's settings.

        The permit has checked that the caller is the lock in the run's record. But a worker with other settings may
        have written that record.
        """
        environment = environment_of(subject.plan, self._tools.rails.environments)
        expected, held = lock_workflow_id(environment, subject.namespace), lock_of(subject.execution)
        if held != expected:
            raise HoldfastError(
                ErrorCode.OUTSIDE_GUARDRAILS,
                f"this run must hold the lock {expected}, but holds {held}",
                hint=f"{ENVIRONMENTS} of the worker, or its version, has changed since the run began: start it again; "
                "nothing was touched",
            )

    @activity.defn(name="await_windows_settled")
    @reads
    async def await_settled(self, order: ExecutionRef) -> OpenWindows:
        """Wait until no ledger row of the execution is open.

        The lock's own row does not count. Windows that are not settled in time are reported.
        """
        subject = await self._tools.subject_for_closing(order.execution_id)
        # An unverified row is not waited for: its window has already used its time.
        final_states = (*SETTLED, LedgerState.UNVERIFIED)
        rows: list[LedgerEntry] = []

        async def all_settled() -> bool:
            nonlocal rows
            rows = [
                entry
                for entry in await self._tools.store.ledger.of(order.execution_id)
                if entry.kind is not WindowKind.LOCK
            ]
            return all(row.state in final_states for row in rows)

        timing = subject.execution.timing
        services = len(subject.plan.services)
        longest = settled_within(subject.plan.timeouts.recovery, services, timing)
        # If this starts late because no worker was up, the windows only begin to close now.
        end = closing_deadline(longest, settled_within(timedelta(0), services, timing))
        await poll_until(all_settled, end=end, every=timing.poll)
        # Rows of the last look, not read again: a window that came too late to begin anything may have written its
        # intent since.
        return OpenWindows(windows=[row.window_id for row in rows if row.state not in SETTLED])

    @activity.defn(name="verify_environment")
    @closes
    async def verify(self, order: ExecutionRef) -> Closing:
        """Verify at the peers that nothing of this execution is active.

        Then verify the steady state again, if the plan checks it and the run may have touched anything.
        """
        subject = await self._tools.subject_for_closing(order.execution_id)
        ours = f"{FAULT_PREFIX}{base36(order.execution_id)}-"

        left = ["the peers could not be asked whether everything is off"]

        async def nothing_left() -> bool:
            nonlocal left
            left = await left_active(self._tools, subject, ours)
            return not left

        longest = subject.plan.timeouts.stability
        at_least = subject.execution.timing.call_timeout
        end = closing_deadline(longest, at_least)
        verified = await poll_until(nothing_left, end=end, every=subject.execution.timing.poll, stubborn=True)
        if not verified:
            return Closing(verified=False, detail="; ".join(left))
        checks = subject.plan.steady_state.check and await was_touched(self._tools, order.execution_id)
        if not checks:
            return Closing(verified=True)
        if why := await why_not_check_steady_state(self._tools, subject):
            return Closing(verified=False, detail=f"nothing is on, but the steady state was not checked: {why}")
        # A deadline of its own: if the peers were late to become clean, the system may still be settling.
        unmet = await wait_until_steady(self._tools, subject, closing_deadline(longest * 2, at_least))
        if unmet:
            return Closing(verified=False, detail=f"nothing is on, but the steady state is not met: {unmet}")
        return Closing(verified=True)

    @activity.defn(name="finish_from_server")
    @closes
    async def finish_from_server(self, run: RunRef) -> Ending:
        """Write how the run ended, from the server's description of it.

        Only the server knows of terminations and timeouts.
        """
        return await write_ending(self._tools, self._runs, run)


def _not_clean(subject: Subject, left: list[str], cleaned: list[str]) -> HoldfastError:
    touched = f"only this was removed: {'; '.join(cleaned)}" if cleaned else "nothing was touched"
    return HoldfastError(
        ErrorCode.ENVIRONMENT_NOT_CLEAN,
        f"something is still on in {subject.namespace}: {'; '.join(left)}",
        hint="`holdfast recover` closes what is ours; `holdfast run --clean` first removes what is on in the plan's "
        f"services; {touched}",
    )
