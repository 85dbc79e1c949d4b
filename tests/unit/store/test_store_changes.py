"""Changes of the store are reported once each, so that counts over all processes agree with its rows."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from clients.store.changes import Change, ExecutionCreated, ExecutionEnded, PhaseLeft, RequestsStored, WindowEnded
from clients.store.engine import writing
from clients.store.store import Store
from domain.executions.execution import Ending, Recovery, RunStatus, Verdict
from domain.executions.windows import LedgerState
from domain.resilience.model import Phase, PhaseChange
from tests.support.store.samples import entry, measured, move, new_execution, skipped, stored_case

DONE = {"status": RunStatus.COMPLETED, "phase": Phase.DONE, "recovery": Recovery.VERIFIED}


@pytest.fixture
def reported(store: Store) -> list[Change]:
    """Everything that the store reports."""
    found: list[Change] = []
    store.report_changes(found.append)
    return found


async def test_a_repeated_write_is_reported_once(store: Store, reported: list[Change]) -> None:
    """Creation, phases and end of a run: an activity may be repeated after its write was committed."""
    for _ in range(2):
        run = (await new_execution(store)).execution_id
    for phase in (Phase.ANALYZING_PATTERNS, Phase.ANALYZING_PATTERNS, Phase.RULES_READY):
        await store.executions.change_phase(PhaseChange(execution_id=run, phase=phase))
    await store.cases.save(run, [stored_case(0), stored_case(1)])
    await store.results.save(run, measured(0))
    await store.results.save(run, skipped(1))
    await store.results.save_verdicts(run, {0: (Verdict.PASSED, "")})
    for _ in range(2):
        await store.executions.finish(Ending(execution_id=run, verdict=Verdict.PASSED, **DONE))
    kinds = [type(change) for change in reported]
    assert kinds == [ExecutionCreated, PhaseLeft, RequestsStored, PhaseLeft, ExecutionEnded]
    assert [change.phase for change in reported if isinstance(change, PhaseLeft)] == [
        "ANALYZING_PATTERNS",
        "RULES_READY",
    ]
    ended = reported[-1]
    assert isinstance(ended, ExecutionEnded)
    assert (ended.kind, ended.status, ended.verdict, ended.recovery) == (
        *("resilience-test", "completed", "passed", "verified"),
    )
    assert ended.cases == {("measured", "passed"): 1, ("skipped", ""): 1}


async def test_a_window_that_was_given_up_on_and_closed_later_ends_twice(
    store: Store, run: int, reported: list[Change]
) -> None:
    """Each state once, whatever comes late."""
    row = entry(run)
    await store.ledger.intent(row)
    for state in ("open", "unverified", "unverified", "closed", "closed", "unverified"):
        await store.ledger.update(move(row, LedgerState(state)))
    assert reported == [WindowEnded(row.kind.value, "unverified"), WindowEnded(row.kind.value, "closed")]


async def test_what_cannot_be_read_is_not_counted_and_fails_nothing(
    store: Store, run: int, reported: list[Change], caplog: pytest.LogCaptureFixture
) -> None:
    """The end of a run must be recorded, whatever has happened to its other rows."""
    await store.executions.change_phase(PhaseChange(execution_id=run, phase=Phase.RULES_READY))
    async with writing(store.engine) as work:
        await work.execute(text("ALTER TABLE test_result RENAME TO gone"))
    await store.executions.finish(Ending(execution_id=run, verdict=Verdict.PASSED, **DONE))
    assert (await store.executions.row(run)).run_status is RunStatus.COMPLETED
    assert not any(isinstance(change, ExecutionEnded) for change in reported)
    assert "is not counted" in caplog.text
