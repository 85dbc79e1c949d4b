"""Shared by all windows: intent before the act, and closing always.

Also the signals to the run, and the settling of the ledger row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, cast

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from domain.errors import ErrorCode
from domain.executions.windows import (
    Closing,
    LedgerEntry,
    LedgerState,
    LedgerUpdate,
    ServiceStability,
    StabilityMoment,
    StabilityOrder,
    StabilityReport,
    WindowChanged,
    WindowInput,
    WindowKind,
    WindowState,
)
from domain.names import WINDOW_SIGNAL
from domain.plans.durations import due_after
from workflows import policies
from workflows.windows.cancellation import despite_cancel, ensure_not_cancelled, text_of

with workflow.unsafe.imports_passed_through():
    from activities.run.ledger import LedgerActivities
    from activities.stages.stability import StabilityActivities

T = TypeVar("T")

_WHEN_CLOSED = {
    WindowKind.RECORDING: StabilityMoment.AFTER_ANALYSIS,
    WindowKind.FAULT: StabilityMoment.AFTER_FAULT,
    WindowKind.RULES: StabilityMoment.AFTER_RULES,
}

SwitchOff = Callable[[], Coroutine[Any, Any, Closing]]
"""Switches one thing off and verifies it."""


@dataclass
class Held(Generic[T]):
    """The outcome of a window's work, and of its closing."""

    result: T | None = None
    error: BaseException | None = None
    closing: Closing = field(default_factory=lambda: Closing(verified=False))

    def get(self) -> T:
        """Return the work's result, or raise its error, once everything is closed."""
        # A cancel comes before any other error.
        ensure_not_cancelled()
        if self.error is not None:
            raise self.error
        return cast("T", self.result)


class Holding:
    """One window's ledger row, its signals to the run, and its closing."""

    def __init__(self, order: WindowInput, kind: WindowKind, peer_name: str = "") -> None:
        self.order = order
        self.kind = kind
        self.peer_name = peer_name
        self.intended = False
        """Whether the peer may have been touched; set before writing the intent."""
        self.overdue = False
        """Whether the window ran out of time before its work ended."""

    @property
    def timing_options(self) -> policies.ActivityOptions:
        """The policy of writes to the store."""
        return policies.bookkeeping(self.order.execution.timing)

    async def record_intent(self) -> None:
        """Write the intent to the ledger, before the act."""
        info = workflow.info()
        self.intended = True
        due = due_after(timedelta(seconds=self.order.hold_seconds), self.order.timeouts.recovery)
        now = workflow.now()
        entry = LedgerEntry(
            window_id=info.workflow_id,
            run_id=info.run_id,
            execution_id=self.order.execution.execution_id,
            parent_workflow_id=self.order.parent_workflow_id,
            parent_run_id=self.order.parent_run_id,
            kind=self.kind,
            service=self.order.service,
            peer_name=self.peer_name,
            close_by=now + due,
            created_at=now,
        )
        await self.signal_run(WindowState.OPENING, at=now)
        await workflow.execute_activity_method(
            LedgerActivities.record_intent, entry, summary="Write the intent to the ledger", **self.timing_options
        )
        self.ensure_open()

    async def record_open(self, detail: str = "", **facts: Any) -> None:
        """Record that the window is open, and signal it to the run."""
        await self.settle(LedgerState.OPEN, detail)
        self.ensure_open()
        await self.signal_and_recheck(WindowState.OPEN, detail=detail, **facts)

    async def signal_and_recheck(self, state: WindowState, **facts: Any) -> None:
        """Signal the run, then re-check for cancellation.

        Raises:
            CancelledError: as `ensure_open`.
        """
        await self.signal_run(state, **facts)
        # A signal already in flight completes even if the window was cancelled meanwhile.
        self.ensure_open()

    async def signal_run(self, state: WindowState, **facts: Any) -> None:
        """Signal the run.

        A run that is gone is no error, because the window closes all the same.
        """
        receivers = self._receivers(state)
        if not receivers:
            return
        change = WindowChanged(
            window_id=workflow.info().workflow_id,
            kind=self.kind,
            state=state,
            service=self.order.service,
            peer_name=self.peer_name,
            execution_id=self.order.execution.execution_id,
            **facts,
        )
        for workflow_id, run_id in receivers:
            try:
                await workflow.get_external_workflow_handle(workflow_id, run_id=run_id).signal(WINDOW_SIGNAL, change)
            except FailureError as error:
                workflow.logger.info("%s did not take %s: %s", workflow_id, state, error)

    def _receivers(self, state: WindowState) -> list[tuple[str, str]]:
        """Return the workflows to signal, as workflow id and run id."""
        run = (self.order.parent_workflow_id, self.order.parent_run_id)
        pair = self.order.pair
        if state is WindowState.UNVERIFIED:
            # The run must always know this.
            return [run]
        if pair is not None:
            # The run gets no other signal: there may be thousands of pairs, and each signal is in its receiver's
            # history. The pairs window only needs to know that the fault is active.
            return [(pair.window_id, pair.run_id)] if state is WindowState.OPEN else []
        # A terse window is silent unless something is wrong, because its result contains the rest. A cancelled one
        # signals, because it has no result.
        silent = self.order.terse and workflow.cancellation_reason() is None
        return [] if silent else [run]

    async def within_time(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work that needs the window open, within the window's time.

        Raises:
            ApplicationError: WINDOW_OVERDUE when the time is over. By then the work has been cancelled and has ended.
                Its result no longer counts.
        """
        task = asyncio.create_task(work)
        try:
            await workflow.wait_condition(task.done, timeout=self.order.hold_seconds)
        except TimeoutError:
            self.overdue = True
        except asyncio.CancelledError:
            workflow.logger.info("asked to close")
        if not task.done():
            task.cancel()
            await despite_cancel(_await_end(task))
        ensure_not_cancelled()
        if self.overdue:
            raise ApplicationError(
                f"the {self.kind} window was still open after {self.order.hold_seconds:g} s and closed itself",
                type=ErrorCode.WINDOW_OVERDUE,
                non_retryable=True,
            )
        return task.result()

    def ensure_open(self) -> None:
        """Raise if the window must close.

        Call it after every awaited step of the window's work: a step that ends normally can swallow a cancel.

        Raises:
            CancelledError: when the window was cancelled, or its time is over.
        """
        if self.must_close:
            raise asyncio.CancelledError

    @property
    def must_close(self) -> bool:
        """Whether the window was cancelled, or its time is over."""
        return self.overdue or workflow.cancellation_reason() is not None

    async def hold(self, work: Coroutine[Any, Any, T], switch_off: SwitchOff | None, services: list[str]) -> Held[T]:
        """Do the work that needs the window open, then always close it.

        To close means: switch off and verify, wait until the services are stable, settle the ledger row, signal the
        run. It never raises for an error at a peer, and a cancel does not stop it.
        """
        try:
            done: Held[T] = Held(result=await self.within_time(work))
        except (Exception, asyncio.CancelledError) as error:
            # Not `finally`: when a worker shuts down, it drops its cached workflows, and Python unwinds them with
            # GeneratorExit, outside any event loop. Nothing may be done then: another worker goes on from the history.
            done = Held(error=error)
        done.closing = await despite_cancel(self._close(switch_off, services))
        unaskable = StabilityReport(services=done.closing.stability).unaskable
        if unaskable and done.error is None:
            # Nothing is left on, but nothing new may begin in a system whose stability cannot be checked.
            done.error = ApplicationError(
                f"it is not known whether services are stable: {_details(unaskable)}",
                type=ErrorCode.SERVICE_NOT_STABLE,
                non_retryable=True,
            )
        return done

    async def _close(self, switch_off: SwitchOff | None, services: list[str]) -> Closing:
        if not self.intended:
            return Closing(verified=True)
        await self.signal_run(WindowState.CLOSING)
        closing = await self._switch_off(switch_off, services)
        state = LedgerState.CLOSED if closing.verified else LedgerState.UNVERIFIED
        ended = await self.settle(state, closing.detail)
        window_state = WindowState.CLOSED if closing.verified else WindowState.UNVERIFIED
        await self.signal_run(window_state, detail=closing.detail, stability=closing.stability, at=ended)
        return closing

    async def _switch_off(self, switch_off: SwitchOff | None, services: list[str]) -> Closing:
        if switch_off is None:
            return Closing(verified=True)
        off = False
        try:
            closing = await switch_off()
            off = closing.verified
            if not off:
                return closing
            timing = self.order.execution.timing
            stability = self.order.timeouts.stability
            report = await self.stability(services, policies.closing(timing, stability), _WHEN_CLOSED.get(self.kind))
        except ActivityError as error:
            prefix = "it was seen to be off, but it is not known whether its services are stable: " if off else ""
            return Closing(verified=False, detail=f"{prefix}{text_of(error)}")
        if any(not service.unaskable for service in report.unstable):
            detail = f"not stable again: {_details(report.unstable)}"
            return Closing(verified=False, detail=detail, stability=report.services)
        if report.unaskable:
            detail = f"it was seen to be off; its services: {_details(report.unaskable)}"
            return Closing(verified=True, detail=detail, stability=report.services)
        return Closing(verified=True, stability=report.services)

    async def stability(
        self, services: list[str], options: policies.ActivityOptions, moment: StabilityMoment | None
    ) -> StabilityReport:
        """Wait until these services are stable, and report every result.

        The results are stored under `moment`, unless it is None.
        """
        return await workflow.execute_activity_method(
            StabilityActivities.await_stability,
            StabilityOrder(execution_id=self.order.execution.execution_id, services=services, moment=moment),
            summary=f"Wait until {_listed(services)} stable",
            **options,
        )

    async def settle(self, state: LedgerState, detail: str) -> datetime:
        """Move the ledger row to a state; return the recorded time."""
        info = workflow.info()
        now = workflow.now()
        update = LedgerUpdate(window_id=info.workflow_id, run_id=info.run_id, state=state, detail=detail, at=now)
        try:
            await workflow.execute_activity_method(
                LedgerActivities.update_ledger, update, summary=f"Ledger: {state}", **self.timing_options
            )
        except ActivityError as error:
            # Only one error is permanent: the row does not exist, because the intent was never written. Then there is
            # nothing to settle.
            workflow.logger.warning("the ledger did not take %s: %s", state, text_of(error))
        return now


def _details(services: list[ServiceStability]) -> str:
    return ", ".join(f"{service.service} ({service.detail})" for service in services)


def _listed(services: list[str]) -> str:
    return f"{services[0]} is" if len(services) == 1 else f"{len(services)} services are"


async def _await_end(task: asyncio.Task[Any]) -> None:
    await workflow.wait([task])
