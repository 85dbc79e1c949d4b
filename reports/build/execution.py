"""Builds what is known of any kind of execution from what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from clients.store.read_models import ExecutionRow, LogEntry
from clients.store.store import Store
from domain.executions.execution import RunStatus
from domain.executions.state import ExecutionState
from domain.kinds import kind_named
from domain.resilience.model import RESILIENCE_TEST
from reports.build.gather import gather, own_version, title_of
from reports.build.stored_faults import window_row
from reports.build.stored_state import stored_state
from reports.build.timelines import timeline_of
from reports.model.execution import ExecutionReport
from reports.text.sentences import outcome_sentence, recovery_sentence


async def stored_execution(store: Store, row: ExecutionRow) -> ExecutionState:
    """Return everything the store knows of an execution of any kind."""
    if row.kind == RESILIENCE_TEST:
        return await stored_state(store, row)
    facts = row.model_dump(
        include={
            "kind", "execution_id", "parent_execution_id", "environment", "namespace", "verdict", "recovery",
            "started_at", "updated_at", "finished_at", "error_code", "error_message",
        }
    )  # fmt: skip
    more = {
        "name": row.name,
        "status": row.run_status,
        "step": str(row.status),
        "progress": 100 if row.run_status is RunStatus.COMPLETED else 0,
        "windows": [window_row(entry) for entry in await store.ledger.of(row.execution_id)],
    }
    kind = kind_named(row.kind)
    return (kind.state if kind else ExecutionState)().model_copy(update=facts | more)


async def stored_report(store: Store, execution_id: int) -> ExecutionReport:
    """Build the report of an execution of any kind, whether ended or still under way.

    Raises:
        HoldfastError: NOT_FOUND for an unknown execution, STORE_UNAVAILABLE.
    """
    row = await store.executions.row(execution_id)
    if row.kind == RESILIENCE_TEST:
        return await gather(store, execution_id)
    state = await stored_execution(store, row)
    return execution_report(state, await store.logs.of(execution_id))


def execution_report(state: ExecutionState, log: Sequence[LogEntry] = ()) -> ExecutionReport:
    """Build the report of an execution from its state, and from its log where that can be read."""
    now = datetime.now(UTC)
    return ExecutionReport(
        holdfast_version=own_version(),
        written_at=now,
        title=title_of(state.name, state.started_at or now),
        verdict_sentence=outcome_sentence(state),
        recovery_sentence=recovery_sentence(state),
        run=state,
        timeline=timeline_of(state, [], log),
    )
