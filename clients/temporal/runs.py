"""Workflow runs as the Temporal server itself describes them: is it running, how did it end, who holds a lock."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from temporalio.api.enums.v1 import PendingActivityState as ActivityState
from temporalio.api.enums.v1 import PendingWorkflowTaskState as TaskState
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from domain.base import Contract
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import RunFailure, RunStatus, RunSummary
from domain.executions.windows import LockHolder
from domain.names import MEMO_HOLDER, WorkflowType

_NOT_KNOWN = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)
"""The server does not know a run: it has forgotten it, or no run can have this id (not a UUID, too long)."""


class RunEnd(Contract):
    """How a closed run ended, from the server's own description."""

    status: RunStatus
    terminated: bool = False
    summary: RunSummary | None = None
    failure: RunFailure | None = None
    message: str = ""
    finished_at: datetime | None = None
    """When the server closed it."""


class RunDirectory:
    """Looks at runs through a Temporal client.

    Raises:
        HoldfastError: PEER_UNREACHABLE when the server cannot be asked; the look may be repeated.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def is_running(self, workflow_id: str, run_id: str | None = None) -> bool:
        """Whether this run is open. A run that the server no longer knows is not."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            return (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        except RPCError as error:
            if error.status in _NOT_KNOWN:
                return False
            raise _unreachable(error) from error

    async def parent_of(self, workflow_id: str, run_id: str) -> tuple[str, str] | None:
        """Workflow id and run id of the workflow that started this one as a child; None for one that nobody did."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            described = await handle.describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise _unreachable(error) from error
        return (described.parent_id, described.parent_run_id or "") if described.parent_id else None

    async def closed_at(self, workflow_id: str, run_id: str) -> datetime | None:
        """When a run was closed; None while it is open, and for one that the server does not know."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            return (await handle.describe()).close_time
        except RPCError as error:
            if error.status in _NOT_KNOWN:
                return None
            raise _unreachable(error) from error

    async def waits_for_worker(self, workflow_id: str, run_id: str | None = None) -> bool:
        """Whether an open run has something to do that no worker has taken up at this moment."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            described = (await handle.describe()).raw_description
        except RPCError as error:
            if error.status in _NOT_KNOWN:
                return False
            raise _unreachable(error) from error
        task = described.pending_workflow_task
        if described.HasField("pending_workflow_task") and task.state != TaskState.PENDING_WORKFLOW_TASK_STATE_STARTED:
            return True
        return any(one.state == ActivityState.PENDING_ACTIVITY_STATE_SCHEDULED for one in described.pending_activities)

    async def open_runs(self, task_queue: str) -> list[tuple[str, str]]:
        """Workflow id and run id of every open run that was started on a queue; the newest may not be listed yet."""
        wanted = f"WorkflowType = '{WorkflowType.RESILIENCE_TEST}' AND ExecutionStatus = 'Running'"
        found = self._client.list_workflows(f"{wanted} AND TaskQueue = '{task_queue}'")
        try:
            return [(one.id, one.run_id) async for one in found]
        except RPCError as error:
            raise _unreachable(error) from error

    async def cancel(self, workflow_id: str, run_id: str | None = None) -> None:
        """Ask a run to end; harmless when it already has."""
        try:
            await self._client.get_workflow_handle(workflow_id, run_id=run_id).cancel()
        except RPCError as error:
            if error.status not in _NOT_KNOWN:
                raise _unreachable(error) from error

    async def holder(self, lock_id: str) -> LockHolder | None:
        """Who holds a lock; None when nobody does."""
        try:
            description = await self._client.get_workflow_handle(lock_id).describe()
        except RPCError as error:
            if error.status in _NOT_KNOWN:
                return None
            raise _unreachable(error) from error
        if description.status is not WorkflowExecutionStatus.RUNNING:
            return None
        memo = await description.memo()
        return LockHolder.model_validate(memo.get(MEMO_HOLDER, {}))

    async def end_of(self, workflow_id: str, run_id: str) -> RunEnd | None:
        """How a run ended; None while it is open."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id, result_type=RunSummary)
        try:
            described = await handle.describe()
        except RPCError as error:
            if error.status in _NOT_KNOWN:
                return RunEnd(status=RunStatus.FAILED, message="the server no longer knows this run")
            raise _unreachable(error) from error
        if described.status is WorkflowExecutionStatus.RUNNING:
            return None
        return (await _end(handle, described.status)).model_copy(update={"finished_at": described.close_time})


async def _end(handle: WorkflowHandle[Any, RunSummary], status: WorkflowExecutionStatus | None) -> RunEnd:
    if status is WorkflowExecutionStatus.TERMINATED:
        return RunEnd(status=RunStatus.FAILED, terminated=True, message="the run was terminated")
    if status is WorkflowExecutionStatus.TIMED_OUT:
        return RunEnd(status=RunStatus.TIMED_OUT, message="the Temporal server ended the run: its time was over")
    if status is WorkflowExecutionStatus.FAILED:
        return await _failed(handle.result)
    if status is WorkflowExecutionStatus.COMPLETED:
        return RunEnd(status=RunStatus.COMPLETED, summary=await handle.result())
    # CONTINUED_AS_NEW cannot happen to ResilienceTest; everything else unknown counts as failed.
    return RunEnd(status=RunStatus.CANCELLED if status is WorkflowExecutionStatus.CANCELED else RunStatus.FAILED)


async def _failed(result: object) -> RunEnd:
    try:
        await result()  # type: ignore[operator]
    except WorkflowFailureError as error:
        return RunEnd(status=RunStatus.FAILED, failure=failure_of(error.cause), message=str(error.cause))
    return RunEnd(status=RunStatus.FAILED)


def failure_of(cause: BaseException | None) -> RunFailure | None:
    """The typed failure that a run ended with; None when it failed without one (a defect of ours)."""
    if isinstance(cause, ApplicationError) and cause.details:
        try:
            return RunFailure.model_validate(cause.details[0])
        except ValueError:
            return None
    return None


def _unreachable(error: RPCError) -> HoldfastError:
    return HoldfastError(ErrorCode.PEER_UNREACHABLE, f"the Temporal server did not answer: {error.status.name}")
