"""`EnvironmentLock`: holds a namespace for one run.

Its workflow id is the lock, because the server refuses a second workflow under the same id. It ends last: when the run
has closed, however that happened, the server cancels the lock. Then it waits until no ledger row of the run is open,
checks the peers once more, and writes how the run ended, from the server's description of it.
"""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

from domain.executions.execution import Ending, ExecutionRef, Recovery
from domain.executions.windows import (
    Closing,
    LedgerState,
    LockInput,
    LockReport,
    OpenWindows,
    PreflightOrder,
    RunRef,
    WindowKind,
)
from domain.names import WorkflowType
from domain.plans.durations import preflight_bound, settled_within
from workflows import policies
from workflows.windows.cancellation import despite_cancel, text_of
from workflows.windows.holding import Holding

with workflow.unsafe.imports_passed_through():
    from activities.run.lock import LockActivities


@workflow.defn(name=WorkflowType.ENVIRONMENT_LOCK)
class EnvironmentLock:
    """Holds a namespace for one run."""

    @workflow.init
    def __init__(self, order: LockInput) -> None:
        """Prepare the lock; nothing is checked yet."""
        self._order = order
        self._holding = Holding(order, WindowKind.LOCK)
        self._ref = ExecutionRef(execution_id=order.execution.execution_id)
        self._cleaned: list[str] = []

    @workflow.run
    async def run(self, order: LockInput) -> LockReport:
        """Hold a clean namespace until the run has ended, then verify it.

        The lock completes with its report even though it is cancelled.
        """
        try:
            await self._take()
            await workflow.wait_condition(lambda: False)
        except (asyncio.CancelledError, FailureError) as error:
            # A cancel is how the run releases the lock, so it is not raised. If the worker is dead, the cancel shows as
            # a timeout of the current activity.
            if not is_cancelled_exception(error) and workflow.cancellation_reason() is None:
                # Pre-flight failed: the namespace is not clean, or lacks a service. The lock was never held, so the run
                # itself writes how it ended.
                await despite_cancel(self._settle("never held: the check before the run did not pass"))
                raise
        return await despite_cancel(self._release())

    async def _take(self) -> None:
        await self._holding.record_intent()
        leftovers = self._order.leftovers
        report = await workflow.execute_activity_method(
            LockActivities.preflight,
            PreflightOrder(execution_id=self._ref.execution_id, leftovers=leftovers),
            summary="See that nothing is left over from anyone",
            **policies.waiting(self._order.execution.timing, preflight_bound(self._order.timeouts, leftovers)),
        )
        self._cleaned = report.cleaned if report else []  # None in histories recorded before the report existed.
        await self._holding.record_open(detail=f"removed first: {'; '.join(self._cleaned)}" if self._cleaned else "")

    async def _release(self) -> LockReport:
        await self._await_run_ended()
        windows = await self._await_windows_settled()
        closing = await self._verify_environment()
        verified = closing.verified and not windows.windows
        await self._finish(verified)
        await self._settle(closing.detail)
        return LockReport(
            execution_id=self._ref.execution_id,
            recovery_verified=verified,
            open_windows=windows.windows,
            detail=closing.detail,
            cleaned=self._cleaned,
        )

    async def _await_run_ended(self) -> None:
        """Wait until the run has ended."""
        # Usually it has. But if somebody cancels the lock itself, the namespace stays held until the run is over.
        run = RunRef(
            execution_id=self._ref.execution_id,
            workflow_id=self._order.parent_workflow_id,
            run_id=self._order.parent_run_id,
        )
        await workflow.execute_activity_method(
            LockActivities.await_run_ended,
            run,
            summary="See that the run has ended",
            **policies.closing(self._order.execution.timing, policies.LONGEST_WAIT),
        )

    async def _await_windows_settled(self) -> OpenWindows:
        timing = self._order.execution.timing
        services = len(self._order.execution.services)
        longest = settled_within(self._order.timeouts.recovery, services, timing)
        return await workflow.execute_activity_method(
            LockActivities.await_settled,
            self._ref,
            summary="Wait until every window of the run is settled",
            **policies.closing(timing, longest),
        )

    async def _verify_environment(self) -> Closing:
        try:
            return await workflow.execute_activity_method(
                LockActivities.verify,
                self._ref,
                summary="See at the peers that nothing is on",
                # Time until nothing is active, then until the steady state is back, and for the last check of it.
                **policies.closing(self._order.execution.timing, self._order.timeouts.stability * 3),
            )
        except ActivityError as error:
            return Closing(verified=False, detail=text_of(error))

    async def _finish(self, verified: bool) -> Ending:
        recovery = Recovery.VERIFIED if verified else Recovery.UNVERIFIED
        run = RunRef(
            execution_id=self._ref.execution_id,
            workflow_id=self._order.parent_workflow_id,
            run_id=self._order.parent_run_id,
            recovery=recovery,
        )
        return await workflow.execute_activity_method(
            LockActivities.finish_from_server,
            run,
            summary="Write how the run ended",
            **policies.closing(self._order.execution.timing, policies.LONGEST_WAIT),
        )

    async def _settle(self, detail: str) -> None:
        await self._holding.settle(LedgerState.CLOSED, detail)
