"""Find a run by any of its names at the Temporal server."""

from __future__ import annotations

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from clients.temporal.connection import server_error
from domain.errors import ErrorCode, HoldfastError
from operations.runs.find_stored import possible_ids
from operations.runs.follow import Run
from operations.schedules import runs_of


async def find_run(client: Client, given: str) -> Run:
    """Find the newest run under an ID. A running one comes before those that have ended.

    A definition's name also stands for the runs that its schedule started.

    Raises:
        HoldfastError: NOT_FOUND, or what the server's error means.
    """
    found: list[WorkflowExecution] = []
    for workflow_id in possible_ids(given):
        try:
            found.append(await client.get_workflow_handle(workflow_id).describe())
        except RPCError as error:
            # NOT_FOUND may also mean that the server does not have our Temporal namespace.
            if error.status is not RPCStatusCode.NOT_FOUND or "amespace" in error.message:
                raise server_error(error) from error
        if workflow_id != given:  # A full workflow id is that run, and no other.
            found += await _newest_scheduled(client, workflow_id)
    if not found:
        message = f"the Temporal server has no run {' or '.join(possible_ids(given))}"
        raise HoldfastError(ErrorCode.NOT_FOUND, message)
    # Executions of several kinds may share a name.
    newest = max(found, key=lambda run: (run.status is WorkflowExecutionStatus.RUNNING, run.start_time))
    return client.get_workflow_handle(newest.id, run_id=newest.run_id)


async def _newest_scheduled(client: Client, workflow_id: str) -> list[WorkflowExecution]:
    try:
        return await runs_of(client, workflow_id, 1)
    except RPCError as error:
        if error.status in (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNIMPLEMENTED):
            return []  # A server without advanced visibility. A scheduled run is still found by its full id.
        raise server_error(error) from error
