"""Workflow runs as the Temporal server describes them.

That shows whether a run is open, how it ended, and who holds a lock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import SerializeAsAny
from temporalio.api.enums.v1 import PendingActivityState as ActivityState
from temporalio.api.enums.v1 import PendingWorkflowTaskState as TaskState
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from domain.base import Contract
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import ExecutionSummary, RunFailure, RunStatus
from domain.executions.windows import LockHolder
from domain.kinds import as_summary, workflow_types
from domain.names import MEMO_HOLDER

_NOT_KNOWN = (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT)
"""Codes for an unknown run.

The server has forgotten it, or no run can have this id (not a UUID, or too long).
"""


_UNREADABLE = (ValueError, TypeError, KeyError, RuntimeError, HoldfastError)
"""Errors of reading what another version wrote, or what is encrypted with a key that is not here.

Nothing of that may keep anything switched on, so it is never an error here.
"""


class RunEnd(Contract):
    """How a closed run ended, from the server's description."""

    status: RunStatus
    terminated: bool = False
    summary: SerializeAsAny[ExecutionSummary] | None = None
    failure: RunFailure | None = None
    message: str = ""
    finished_at: datetime | None = None
    """Time when the server closed the run."""


class RunDirectory:
    """Access to runs through a Temporal client.

    Raises:
        HoldfastError: PEER_UNREACHABLE when the server does not answer; the call may be retried.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def _describe(self, workflow_id: str, run_id: str | None = None) -> WorkflowExecutionDescription | None:
        """Describe a run; None if the server does not know it."""
        try:
            return await self._client.get_workflow_handle(workflow_id, run_id=run_id).describe()
        except RPCError as error:
            if error.status in _NOT_KNOWN:
                return None
            raise _unreachable(error) from error

    async def is_running(self, workflow_id: str, run_id: str | None = None) -> bool:
        """Check whether a run is open; an unknown run is not."""
        described = await self._describe(workflow_id, run_id)
        return described is not None and described.status is WorkflowExecutionStatus.RUNNING

    async def parent_of(self, workflow_id: str, run_id: str) -> tuple[str, str] | None:
        """Return workflow and run id of a child workflow's parent.

        None if the workflow has no parent, or if the server does not know it.
        """
        described = await self._describe(workflow_id, run_id)
        if described is None or not described.parent_id:
            return None
        return described.parent_id, described.parent_run_id or ""

    async def closed_at(self, workflow_id: str, run_id: str) -> datetime | None:
        """Return when a run was closed; None while open, or if unknown."""
        described = await self._describe(workflow_id, run_id)
        return None if described is None else described.close_time

    async def waits_for_worker(self, workflow_id: str, run_id: str | None = None) -> bool:
        """Check whether a task of an open run waits for a worker."""
        described = await self._describe(workflow_id, run_id)
        if described is None:
            return False
        raw = described.raw_description
        task = raw.pending_workflow_task
        if raw.HasField("pending_workflow_task") and task.state != TaskState.PENDING_WORKFLOW_TASK_STATE_STARTED:
            return True
        return any(
            activity.state == ActivityState.PENDING_ACTIVITY_STATE_SCHEDULED for activity in raw.pending_activities
        )

    async def open_runs(self, task_queue: str) -> list[tuple[str, str]]:
        """Return workflow and run ids of all open runs of a queue.

        The newest runs may not be listed yet.
        """
        types = ", ".join(f"'{name}'" for name in workflow_types())
        wanted = f"WorkflowType IN ({types}) AND ExecutionStatus = 'Running'"
        found = self._client.list_workflows(f"{wanted} AND TaskQueue = '{task_queue}'")
        try:
            return [(run.id, run.run_id) async for run in found]
        except RPCError as error:
            raise _unreachable(error) from error

    async def cancel(self, workflow_id: str, run_id: str | None = None) -> None:
        """Ask a run to end; harmless if it has already ended."""
        try:
            await self._client.get_workflow_handle(workflow_id, run_id=run_id).cancel()
        except RPCError as error:
            if error.status not in _NOT_KNOWN:
                raise _unreachable(error) from error

    async def holder(self, lock_id: str) -> LockHolder | None:
        """Return the holder of a lock; None if it is free. Of one that cannot be read, only its run is known."""
        described = await self._describe(lock_id)
        if described is None or described.status is not WorkflowExecutionStatus.RUNNING:
            return None
        try:
            return LockHolder.model_validate((await described.memo()).get(MEMO_HOLDER, {}))
        except _UNREADABLE:
            return LockHolder(workflow_id=described.parent_id or "", run_id=described.parent_run_id or "")

    async def end_of(self, workflow_id: str, run_id: str) -> RunEnd | None:
        """Return how a run ended; None while it is open.

        A run that the server no longer knows counts as failed.
        """
        described = await self._describe(workflow_id, run_id)
        if described is None:
            return RunEnd(status=RunStatus.FAILED, message="the server no longer knows this run")
        if described.status is WorkflowExecutionStatus.RUNNING:
            return None
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id, result_type=dict[str, Any])
        return (await _end(handle, described.status)).model_copy(update={"finished_at": described.close_time})


async def _end(handle: WorkflowHandle[Any, dict[str, Any]], status: WorkflowExecutionStatus | None) -> RunEnd:
    if status is WorkflowExecutionStatus.TERMINATED:
        return RunEnd(status=RunStatus.FAILED, terminated=True, message="the run was terminated")
    if status is WorkflowExecutionStatus.TIMED_OUT:
        return RunEnd(status=RunStatus.TIMED_OUT, message="the Temporal server ended the run: it took too long")
    if status is WorkflowExecutionStatus.FAILED:
        return await _failed(handle)
    if status is WorkflowExecutionStatus.COMPLETED:
        return await _completed(handle)
    # No execution continues as new, so that status cannot occur; any other unknown status counts as failed.
    return RunEnd(status=RunStatus.CANCELLED if status is WorkflowExecutionStatus.CANCELED else RunStatus.FAILED)


async def _completed(handle: WorkflowHandle[Any, dict[str, Any]]) -> RunEnd:
    try:
        return RunEnd(status=RunStatus.COMPLETED, summary=as_summary(await handle.result()))
    except _UNREADABLE:
        return RunEnd(status=RunStatus.COMPLETED, message="its result cannot be read here")


async def _failed(handle: WorkflowHandle[Any, dict[str, Any]]) -> RunEnd:
    try:
        await handle.result()
    except WorkflowFailureError as error:
        return RunEnd(status=RunStatus.FAILED, failure=failure_of(error.cause), message=str(error.cause))
    except _UNREADABLE:
        return RunEnd(status=RunStatus.FAILED, message="its failure cannot be read here")
    return RunEnd(status=RunStatus.FAILED)


def failure_of(cause: BaseException | None) -> RunFailure | None:
    """Return the typed failure that a run ended with.

    None if it failed without one, which is a defect of ours.
    """
    if isinstance(cause, ApplicationError) and cause.details:
        try:
            return RunFailure.model_validate(cause.details[0])
        except ValueError:
            return None
    return None


def _unreachable(error: RPCError) -> HoldfastError:
    return HoldfastError(ErrorCode.PEER_UNREACHABLE, f"the Temporal server did not answer: {error.status.name}")
