"""Finding a run in the store by what people call it."""

from __future__ import annotations

from cli.commands.cancel import possible_ids
from cli.ui.next_steps import after_error
from clients.store.read_models import ExecutionRow
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError

LARGEST_ID = 2**53 - 1
"""Of an execution."""


async def found_run(store: Store, given: str) -> ExecutionRow:
    """The run under an ID: a plan's name or a workflow id, of which the newest run counts, or an execution id.

    In this order: a plan may be called by a number, and execution ids have sixteen digits.

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
