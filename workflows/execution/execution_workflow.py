"""What every workflow of an execution has: its board, its operators' commands, and its end.

A kind of execution is a subclass that accepts an input, creates its record, and does its work. Operators use the query
`status`, and the updates `pause`, `resume` and `abort`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, NoReturn, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

from domain.errors import ErrorCode, Problem
from domain.executions.board import ExecutionBoard
from domain.executions.execution import (
    Ending,
    ExecutionRecord,
    ExecutionRef,
    ExecutionSummary,
    NewRecord,
    Recovery,
    RunFailure,
    RunStatus,
    StepChange,
    Verdict,
    final_step,
)
from domain.executions.state import ExecutionState
from domain.executions.web_ui_table import progress_table
from domain.executions.windows import WindowChanged
from domain.names import ABORT_UPDATE, PAUSE_UPDATE, RESUME_UPDATE, STATUS_QUERY, WINDOW_SIGNAL
from domain.timing import Timing
from workflows import policies
from workflows.execution.early_end import EarlyEnd
from workflows.execution.failures import StageError, application_error, failure_of, refused_input
from workflows.execution.search_attributes import publish
from workflows.windows.cancellation import despite_cancel

with workflow.unsafe.imports_passed_through():
    from activities.run.executions import ExecutionActivities

S = TypeVar("S", bound=ExecutionState)
R = TypeVar("R")


@dataclass(frozen=True)
class Pausable:
    """A window that takes part in a pause."""

    window: workflow.ChildWorkflowHandle[Any, Any]
    pause: Callable[..., Any]
    resume: Callable[..., Any] | None = None
    """None if a paused window of this kind ends. Another window then takes over after the pause."""


class ExecutionWorkflow(Generic[S]):
    """Base of every execution's workflow. A subclass supplies the work."""

    def __init__(self, board: ExecutionBoard[S]) -> None:
        # The input is read in `run`, not here, so that wrong input fails the execution instead of hanging it.
        self._board: ExecutionBoard[S] = board
        self._record: ExecutionRecord | None = None
        self._paused = False
        self._early = EarlyEnd(lambda: self._board.state.step)
        self._pausable: dict[str, Pausable] = {}
        self._concluded = False
        """Whether the work ended through `_conclude`, so that this workflow itself must write the end."""

    @property
    def record(self) -> ExecutionRecord:
        """The execution's record. It exists before any work that reads it."""
        if self._record is None:
            raise StageError(ErrorCode.UNEXPECTED, "the execution has no record yet")
        return self._record

    @property
    def _ref(self) -> ExecutionRef:
        return ExecutionRef(execution_id=self.record.execution_id)

    def _refuse(self, problems: list[Problem]) -> NoReturn:
        """End an execution whose input is invalid.

        Raises:
            ApplicationError: VALIDATION_ERROR with every problem.
        """
        failure = refused_input(problems, self._board.state.step)
        self._board.refused(failure.code, failure.message, workflow.now())
        self._publish()
        raise application_error(failure)

    @property
    def _whose(self) -> dict[str, int | None]:
        """This execution, for lines of the worker's log."""
        return {"execution": self._record.execution_id if self._record else None}

    async def _run_to_end(self, work: Coroutine[Any, Any, R], deadline: timedelta | None = None) -> R:
        """Do the work, close everything, then return the work's result.

        A cancelled execution ends as cancelled, after everything is closed.

        Raises:
            ApplicationError: type = the error's code, detail = `RunFailure`.
        """
        working = asyncio.create_task(work)
        try:
            await self._early.wait_for(working, deadline)
        except asyncio.CancelledError:
            workflow.logger.info("asked to end: closing everything first", extra=self._whose)
        error = await _stop(working)
        await self._early.unwatch()
        if workflow.cancellation_reason() is not None:
            await self._record_end(RunStatus.CANCELLED, None)
            raise asyncio.CancelledError
        error = self._early.error or error
        if error is not None:
            raise application_error(await self._record_failure(error))
        if self._concluded:
            # Here, and not in the work: a cancel that comes meanwhile is too late, and must not contradict the store.
            await despite_cancel(self._record_end(RunStatus.COMPLETED, None))
        return working.result()

    async def _open_record(self, kind: str, definition_json: str, requested_by: str = "") -> None:
        """Store the definition and the record of an execution whose definition is not a plan."""
        info = workflow.info()
        new = NewRecord(
            kind=kind,
            definition_json=definition_json,
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            requested_by=requested_by,
        )
        self._record = await workflow.execute_activity_method(
            ExecutionActivities.create_record, new, summary="Store definition and record", **policies.quick(Timing())
        )
        self._raise_if_ending()
        self._board.created(self.record.execution_id)
        self._publish()

    async def _begin_step(self, step: str, percent: int, message: str = "") -> None:
        """Begin a step of an execution without phases, and store that."""
        await self._wait_while_paused()
        self._board.enter(step, workflow.now(), message)
        self._board.advanced(percent)
        self._publish()
        await workflow.execute_activity_method(
            ExecutionActivities.change_step,
            StepChange(execution_id=self.record.execution_id, step=step),
            summary=f"Step {step}"[:200],
            **policies.bookkeeping(self.record.timing),
        )
        self._raise_if_ending()

    def _conclude(self, verdict: Verdict | None = None) -> ExecutionSummary:
        """Return the result of an execution without phases, as the last act of its work."""
        if verdict is not None:
            self._board.judged_as(verdict)
        self._concluded = True
        state = self._board.state
        return ExecutionSummary(
            kind=state.kind,
            execution_id=self.record.execution_id,
            name=state.name,
            verdict=state.verdict,
            recovery=state.recovery or Recovery.UNVERIFIED,
            started_at=state.started_at or workflow.now(),
            finished_at=workflow.now(),
        )

    def _raise_if_ending(self) -> None:
        """Raise if the execution must end.

        Call it after every awaited step: a step that ends normally can swallow a cancel, whether ours or an operator's.

        Raises:
            CancelledError: when the execution was cancelled, aborted or stopped.
        """
        if self._must_end:
            raise asyncio.CancelledError

    @property
    def _must_end(self) -> bool:
        """Whether the execution was cancelled, aborted or stopped."""
        return self._early.error is not None or workflow.cancellation_reason() is not None

    async def _wait_while_paused(self) -> None:
        await workflow.wait_condition(lambda: not self._paused)
        self._raise_if_ending()

    async def _record_failure(self, error: BaseException) -> RunFailure:
        state = self._board.state
        failure = failure_of(error, self._early.step or state.step, state.recovery, state.execution_id)
        late = failure.code is ErrorCode.DEADLINE_EXCEEDED
        await self._record_end(RunStatus.TIMED_OUT if late else RunStatus.FAILED, failure)
        return failure

    async def _record_end(self, status: RunStatus, failure: RunFailure | None) -> None:
        """Show the end, and write it if no lock will."""
        code, message = (failure.code, failure.message) if failure else (None, "")
        self._board.ended(status, workflow.now(), code, message)
        self._publish()
        # A lock that is held writes the end itself, after this workflow has closed.
        if self._early.locked or self._record is None:
            return
        ending = Ending(
            execution_id=self.record.execution_id,
            status=status,
            phase=final_step(status),
            recovery=self._board.state.recovery or Recovery.UNVERIFIED,
            verdict=self._board.state.verdict,
            error_code=code,
            error_phase=failure.phase if failure else None,
            error_message=message,
        )
        await workflow.execute_activity_method(
            ExecutionActivities.finish,
            ending,
            summary="Write how the run ended",
            **policies.bookkeeping(self.record.timing),
        )

    def _publish(self) -> None:
        """Publish search attributes and the Web UI's progress table.

        Neither costs more than one event.
        """
        state = self._board.state
        if self._record is not None and self._record.search_attributes:
            publish(state, self._record.missing_search_attributes)
        workflow.set_current_details(self._table())

    def _table(self) -> str:
        """Return the progress table of the Web UI, as Markdown."""
        return progress_table(self._board.state)

    @workflow.query(name=STATUS_QUERY)
    def status(self) -> ExecutionState:
        """Return the full state of the execution."""
        return self._board.snapshot(workflow.now())

    @workflow.signal(name=WINDOW_SIGNAL)
    def window_changed(self, change: WindowChanged) -> None:
        """Record a window's new state."""
        known = self._record.execution_id if self._record else None
        # After a reset, the server hands the new run the signals of its predecessor, such as "open" from a lock with
        # the same id. Believing that, the run would act before its own lock has verified that the namespace is clean.
        if change.execution_id not in (None, known):
            workflow.logger.info("%s is not a window of this run", change.window_id, extra=self._whose)
            return
        self._board.window_changed(change, workflow.now())
        self._on_window_changed(change)
        self._publish()

    def _on_window_changed(self, change: WindowChanged) -> None:
        """Do what a window's new state means for this kind of execution."""

    @workflow.update(name=PAUSE_UPDATE)
    async def pause(self) -> str:
        """Begin nothing new until resumed.

        Open windows stay open, but no longer than their time. Closing goes on.
        """
        await self._set_paused(paused=True)
        return "paused"

    @workflow.update(name=RESUME_UPDATE)
    async def resume(self) -> str:
        """Resume a paused execution."""
        await self._set_paused(paused=False)
        return "resumed"

    async def _set_paused(self, *, paused: bool) -> None:
        self._paused = paused
        self._board.paused(paused)
        for pausable in list(self._pausable.values()):
            await self._signal_pause(pausable)

    async def _begin_pausable(self, name: str, pausable: Pausable) -> None:
        """Let a window take part in pauses, from now on. A later one of the same name replaces it."""
        self._pausable[name] = pausable
        if self._paused:
            await self._signal_pause(pausable)

    async def _signal_pause(self, pausable: Pausable) -> None:
        signal = pausable.pause if self._paused else pausable.resume
        # A window that ends at this moment is no error.
        if signal is None or pausable.window.done():
            return
        try:
            await pausable.window.signal(signal)
        except FailureError as error:
            workflow.logger.info("%s did not take the pause: %s", pausable.window.id, error, extra=self._whose)

    @workflow.update(name=ABORT_UPDATE)
    def abort(self, reason: str) -> str:
        """Close everything, then fail with code ABORTED and this reason."""
        self._early.request(StageError(ErrorCode.ABORTED, f"aborted: {reason}"))
        return "aborting: everything is being closed first"

    @abort.validator
    def _abort_has_a_reason(self, reason: str) -> None:
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError("abort needs a reason, for example --input '\"wrong cluster\"'")


async def _stop(working: asyncio.Task[Any]) -> BaseException | None:
    """Cancel the work if needed, await its end, and return its error."""
    # Awaited, so that every window has closed.
    if not working.done():
        working.cancel()
    await workflow.wait([working])
    return None if working.cancelled() else working.exception()
