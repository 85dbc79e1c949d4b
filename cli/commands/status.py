"""`holdfast status`: how a run stands, by the run or the store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial

import click

from cli.console import clear_errors, complain, say
from cli.halt_notice import mention_halt
from cli.options import AS_JSON, RUN_ID
from cli.ui.next_steps import after_end, after_error
from cli.ui.panels import panel_lines
from clients.store.read_models import ExecutionRow
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import RunStatus
from domain.executions.state import ExecutionState
from domain.resilience.state import ResilienceState
from operations.connection import connect_quietly
from operations.runs.find import find_run
from operations.runs.find_stored import newest_stored
from operations.runs.follow import look
from operations.runs.state import as_the_server_knows
from operations.stores import query_store
from reports.build.execution import stored_execution
from reports.build.stored_state import MOST_STATE_CASES


@click.command()
@RUN_ID
@AS_JSON
@clear_errors
def status(run_id: str, *, as_json: bool) -> None:
    """Show how a run stands now.

    The state comes from the run itself or, if no worker or no server answers, from the store.

    ID is a plan's name or a workflow id.
    """
    asyncio.run(_status(run_id, as_json=as_json))


async def _status(run_id: str, *, as_json: bool) -> None:
    await mention_halt()
    try:
        client = await connect_quietly()
        handle = await find_run(client, run_id)
        state = await look(handle)
        trouble = "no worker answers"
        state = await as_the_server_knows(client, handle, state) if state else None
    except HoldfastError as error:
        state = None
        trouble = str(error)
    if state is not None:
        say(state.model_dump_json(indent=2) if as_json else "\n".join(panel_lines(state)))
        complain(f"(from the run itself; last change {_age(state.updated_at)})")
        going_on = state.status in (RunStatus.PENDING, RunStatus.RUNNING)
        follow = f"next: `holdfast watch {run_id}` follows it"
        complain(follow if going_on else f"next: {after_end(run_id)}")
        return
    row, stored = await _stored(run_id, trouble)
    say(row.model_dump_json(indent=2) if as_json else "\n".join(panel_lines(stored)))
    complain(f"(from the store; last change {_age(row.updated_at)}. The run itself cannot be asked: {trouble})")
    if isinstance(stored, ResilienceState) and stored.generated.total > MOST_STATE_CASES:
        complain(f"(with more than {MOST_STATE_CASES:,} cases the results are not shown here; the store has them)")
    complain("next: `holdfast worker` makes it answer, if it still runs; `holdfast faults` lists what may be on")


async def _stored(run_id: str, trouble: str) -> tuple[ExecutionRow, ExecutionState]:
    """Return the newest run under an ID from the store.

    Raises:
        HoldfastError: NOT_FOUND, or the store's own code, with the reason why the run itself could not be asked.
    """
    try:
        found = await query_store(partial(_newest, given=run_id))
    except HoldfastError as error:
        raise HoldfastError(error.code, f"the run cannot be asked ({trouble}), nor the store: {error}") from error
    if found is not None:
        return found
    message = f"nothing is known about {run_id}: {trouble.rstrip('.')}, and the store does not have it"
    raise HoldfastError(ErrorCode.NOT_FOUND, message, hint=after_error(ErrorCode.NOT_FOUND))


async def _newest(store: Store, given: str) -> tuple[ExecutionRow, ExecutionState] | None:
    row = await newest_stored(store, given)
    return None if row is None else (row, await stored_execution(store, row))


def _age(moment: datetime | None) -> str:
    if moment is None:
        return "unknown"
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return f"{max(0, (datetime.now(UTC) - moment).total_seconds()):.0f} s ago"
