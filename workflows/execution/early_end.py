"""Reasons that end an execution before its work has ended.

An abort, a stop condition, the deadline, or the loss of the lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from domain.errors import ErrorCode
from domain.executions.execution import Execution, ExecutionRef
from domain.executions.windows import LockReport
from domain.units import format_duration
from workflows import policies
from workflows.execution.failures import StageError
from workflows.windows.lock import EnvironmentLock

with workflow.unsafe.imports_passed_through():
    from activities.run.stop_conditions import StopActivities


class EarlyEnd:
    """Waits for the stages, or for a reason to end them early."""

    def __init__(self, step: Callable[[], str]) -> None:
        """Start without a reason.

        `step` returns what the execution is doing, which is kept along with a reason.
        """
        self.error: BaseException | None = None
        self.step = ""
        self._current_step = step
        self._watch_task: asyncio.Task[None] | None = None
        self._over = False
        self._lock: workflow.ChildWorkflowHandle[EnvironmentLock, LockReport] | None = None

    def request(self, error: BaseException) -> None:
        """End the run for this reason, after everything is closed.

        The first reason stands.
        """
        if self.error is None:
            self.error, self.step = error, self._current_step()

    async def wait_for(self, stages: asyncio.Task[Any], deadline: timedelta | None) -> None:
        """Return when the stages have ended, or must end."""
        # The deadline is a timer of the workflow, not a workflow timeout, so that the run can still close everything.
        try:
            await workflow.wait_condition(
                lambda: stages.done() or self.error is not None or self.unlocked, timeout=deadline
            )
        except TimeoutError:
            words = f"stop.deadline: the run was not over after {format_duration(deadline or timedelta())}"
            self.request(StageError(ErrorCode.DEADLINE_EXCEEDED, words))
        if self.unlocked and not stages.done():
            words = "the workflow that held the namespace was ended from outside, so nothing goes on without it"
            self.request(StageError(ErrorCode.TERMINATED, words))

    def holds(self, lock: workflow.ChildWorkflowHandle[EnvironmentLock, LockReport]) -> None:
        """Note the lock that holds the namespace, and watch for its end."""
        # If the lock ended before this run, another run could begin beside it.
        self._lock = lock

    @property
    def locked(self) -> bool:
        """Whether the lock is held."""
        return self._lock is not None and not self._lock.done()

    @property
    def unlocked(self) -> bool:
        """Whether the lock has ended.

        Normally it ends after the run. If it ends before, it was terminated.
        """
        return self._lock is not None and self._lock.done()

    def watch(self, execution: Execution) -> None:
        """Start watching the plan's `stop` conditions, beside the stages."""
        self._watch_task = asyncio.create_task(self._watch(execution))

    async def unwatch(self) -> None:
        """Stop watching, and wait until no more requests are sent."""
        self._over = True
        if self._watch_task is not None:
            self._watch_task.cancel()
            await workflow.wait([self._watch_task])

    async def _watch(self, execution: Execution) -> None:
        try:
            tripped = await workflow.execute_activity_method(
                StopActivities.watch,
                ExecutionRef(execution_id=execution.execution_id),
                summary="Watch the stop conditions",
                **policies.watching(execution.timing),
            )
        except ActivityError as error:
            # The plan demands the watch, so a run that loses it must end. But a watch that is no longer needed may end
            # with a timeout too: cancelling it has that result if its worker is dead.
            if not (self._over or is_cancelled_exception(error)):
                self.request(error)
            return
        self.request(StageError(ErrorCode.STOP_CONDITION, tripped.reason))
