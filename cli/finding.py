"""Find a run in the store by any of its names."""

from __future__ import annotations

from cli.commands.cancel import possible_ids
from cli.ui.next_steps import after_error
from clients.store.read_models import ExecutionRow
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError

LARGEST_ID = 2**53 - 1
"""Largest execution id: ids have 53 bits."""


async def found_run(store: Store, given: str) -> ExecutionRow:
    """Find a run by plan name, workflow id or execution id.

    They are tried in this order, because a plan's name may be a number; execution ids have sixteen digits. A plan's
    name or a workflow id stands for its newest run.

    Raises:
        HoldfastError: NOT_FOUND.
    """
    for workflow_id in possible_ids(given):
        row = await store.latest_execution_of(workflow_id)
        if row is not None:
            return row
    if given.isascii() and given.isdecimal() and len(given) <= len(str(LARGEST_ID)):
        return await _by_number(store, int(given))
    raise _unknown(given)


async def _by_number(store: Store, number: int) -> ExecutionRow:
    try:
        return await store.execution_row(number)
    except HoldfastError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
        raise _unknown(str(number)) from error


def _unknown(given: str) -> HoldfastError:
    message = f"the store has no run {given}: neither a plan of this name, nor a workflow, nor an execution"
    return HoldfastError(ErrorCode.NOT_FOUND, message, hint=after_error(ErrorCode.NOT_FOUND))
