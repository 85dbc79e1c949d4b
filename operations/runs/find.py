"""Find a run by any of its names, at the Temporal server or in the store."""

from __future__ import annotations

from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from clients.store.read_models import ExecutionRow
from clients.store.store import Store
from clients.temporal.connection import server_error
from domain.errors import ErrorCode, HoldfastError
from domain.executions.starting import LARGEST_ID
from domain.kinds import kinds
from operations.runs.follow import Run


def possible_ids(given: str) -> list[str]:
    """Return the workflow ids that an ID may mean.

    The ID is tried as the name of a definition first, of each kind, then as a workflow id. With a slash in it, it is
    only a workflow id.
    """
    return [given] if "/" in given else [*(kind.workflow_id(given) for kind in kinds()), given]


async def known(client: Client, given: str) -> Run:
    """Find the newest run under an ID. A running one comes before those that have ended.

    Raises:
        HoldfastError: NOT_FOUND, or what the server's error means.
    """
    found: list[WorkflowExecutionDescription] = []
    for workflow_id in possible_ids(given):
        try:
            found.append(await client.get_workflow_handle(workflow_id).describe())
        except RPCError as error:
            # NOT_FOUND may also mean that the server does not have our Temporal namespace.
            if error.status is not RPCStatusCode.NOT_FOUND or "amespace" in error.message:
                raise server_error(error) from error
    if not found:
        message = f"the Temporal server has no run {' or '.join(possible_ids(given))}"
        raise HoldfastError(ErrorCode.NOT_FOUND, message)
    # Executions of several kinds may share a name.
    newest = max(found, key=lambda run: (run.status is WorkflowExecutionStatus.RUNNING, run.start_time))
    return client.get_workflow_handle(newest.id, run_id=newest.run_id)


async def newest_stored(store: Store, given: str) -> ExecutionRow | None:
    """Return the newest run under an ID in the store, as `known` does at the server. None: it has none."""
    rows = [await store.executions.latest_of(workflow_id) for workflow_id in possible_ids(given)]
    return max(
        (row for row in rows if row is not None),
        key=lambda row: (row.finished_at is None, row.started_at),
        default=None,
    )


async def found_run(store: Store, given: str) -> ExecutionRow:
    """Find a run by plan name, workflow id or execution id.

    They are tried in this order, because a plan's name may be a number; execution ids have sixteen digits. A plan's
    name or a workflow id stands for its newest run.

    Raises:
        HoldfastError: NOT_FOUND.
    """
    row = await newest_stored(store, given)
    if row is not None:
        return row
    if given.isascii() and given.isdecimal() and len(given) <= len(str(LARGEST_ID)):
        return await _by_number(store, int(given))
    raise _unknown(given)


async def _by_number(store: Store, number: int) -> ExecutionRow:
    try:
        return await store.executions.row(number)
    except HoldfastError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        raise _unknown(str(number)) from error


def _unknown(given: str) -> HoldfastError:
    message = f"the store has no run {given}: neither a plan of this name, nor a workflow, nor an execution"
    return HoldfastError(ErrorCode.NOT_FOUND, message)
