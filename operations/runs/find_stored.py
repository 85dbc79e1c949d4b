"""Find a run by any of its names in the store.

Separate from `find.py`, which imports the Temporal client: that takes longer than reading the store.
"""

from __future__ import annotations

from clients.store.read_models import ExecutionRow
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.starting import LARGEST_ID
from domain.kinds import kinds


def possible_ids(given: str) -> list[str]:
    """Return the workflow ids that an ID may mean.

    The ID is tried as the name of a definition first, of each kind, then as a workflow id. With a slash in it, it is
    only a workflow id.
    """
    return [given] if "/" in given else [*(kind.workflow_id(given) for kind in kinds()), given]


async def newest_stored(store: Store, given: str) -> ExecutionRow | None:
    """Return the newest run under an ID in the store, as `find_run` does at the server. None: it has none."""
    rows = [await store.executions.latest_of(workflow_id) for workflow_id in possible_ids(given)]
    return max(
        (row for row in rows if row is not None),
        key=lambda row: (row.finished_at is None, row.started_at),
        default=None,
    )


async def find_stored_run(store: Store, given: str) -> ExecutionRow:
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
