"""When a permit is refused: each condition alone is enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.executions.permit_facts import Caller, Standing
from domain.executions.permits import Need, decide, why_foreign_caller, why_too_many_faults
from domain.executions.windows import LedgerEntry, LedgerState, WindowKind

NOW = datetime(2031, 1, 1, tzinfo=UTC)
LOCK_ID = "environment/lab/shop"
NEED = Need(callers=["FaultWindow"], kinds=[WindowKind.FAULT])
OF_THE_RUN = Need(callers=["ResilienceTest"])
OF_A_PAGE = Need(callers=["LoadPage"], covered_by=WindowKind.RULES, states=[LedgerState.OPEN])
OF_THE_CALLS = Need(callers=["ResilienceTest"], covered_by=WindowKind.CALLS, states=[LedgerState.OPEN], of_the_run=True)
WINDOW = Caller(workflow_type="FaultWindow", workflow_id="fault/1/a", run_id="w")
RUN = Caller(workflow_type="ResilienceTest", workflow_id="r", run_id="1")


def row(**changes: Any) -> LedgerEntry:
    facts: dict[str, Any] = {
        "window_id": "fault/1/a", "run_id": "w", "execution_id": 1, "parent_workflow_id": "r", "parent_run_id": "1",
        "kind": WindowKind.FAULT, "service": "a", "close_by": NOW + timedelta(minutes=1), "created_at": NOW,
    }  # fmt: skip
    return LedgerEntry.model_validate(facts | changes)


def lock(**changes: Any) -> LedgerEntry:
    facts = {"window_id": LOCK_ID, "run_id": "l", "kind": WindowKind.LOCK, "service": "", "state": LedgerState.OPEN}
    return row(**(facts | changes))


def standing(*rows: LedgerEntry, **changes: Any) -> Standing:
    rows = rows or (lock(), row())
    locks = [entry for entry in rows if entry.kind is WindowKind.LOCK]
    facts: dict[str, Any] = {"execution_id": 1, "workflow_id": "r", "run_id": "1", "ended": False}
    return Standing.model_validate(facts | {"rows": rows, "locks": locks} | changes)


def test_a_window_of_a_run_that_holds_its_lock_may_act() -> None:
    decision = decide(NEED, WINDOW, standing(), LOCK_ID, NOW)
    assert (decision.refused, decision.row) == ("", row())


REFUSED: dict[str, tuple[Caller, Standing, str]] = {
    "standalone": (Caller(), standing(), "outside any workflow"),
    "another type": (WINDOW.model_copy(update={"workflow_type": "Evil"}), standing(), "type FaultWindow may ask"),
    "another run of it": (WINDOW.model_copy(update={"run_id": "other"}), standing(), "no unsettled fault window"),
    "another window": (WINDOW.model_copy(update={"workflow_id": "fault/1/b"}), standing(), "no unsettled fault"),
    "no row": (WINDOW, standing(lock()), "no unsettled fault window"),
    "of another kind": (WINDOW, standing(lock(), row(kind=WindowKind.RULES)), "no unsettled fault window"),
    "closing": (WINDOW, standing(lock(), row(state=LedgerState.CLOSING)), "is closing in the ledger"),
    "unverified": (WINDOW, standing(lock(), row(state=LedgerState.UNVERIFIED)), "is unverified in the ledger"),
    "overdue": (WINDOW, standing(lock(), row(close_by=NOW - timedelta(seconds=1))), "had to close by"),
    "ended": (WINDOW, standing(ended=True), "execution 1 has ended"),
    "no lock": (WINDOW, standing(row()), "does not hold the lock"),
    "lock not open": (WINDOW, standing(lock(state=LedgerState.INTENT), row()), "does not hold the lock"),
    "another lock": (WINDOW, standing(lock(window_id="environment/x/shop"), row()), "does not hold the lock"),
    "halted": (WINDOW, standing(halted="a fire"), "everything is halted: a fire"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_condition_alone_refuses_the_permit(case: str) -> None:
    caller, known, words = REFUSED[case]
    decision = decide(NEED, caller, known, LOCK_ID, NOW)
    assert words in decision.refused
    assert decision.row is None
    assert decision.halted is (case == "halted")


@pytest.mark.parametrize(("later", "refused"), [(timedelta(seconds=1), True), (timedelta(seconds=-1), False)])
def test_a_lock_that_another_execution_has_taken_since_is_lost(later: timedelta, refused: bool) -> None:
    """A lock's workflow may be ended from outside, while its row stays.

    A row left over from before it belongs to nobody.
    """
    rival = lock(execution_id=2, run_id="l2", created_at=NOW + later)
    known = standing().model_copy(update={"locks": [lock(), rival]})
    assert bool(decide(NEED, WINDOW, known, LOCK_ID, NOW).refused) is refused


@pytest.mark.parametrize("changes", [{"run_id": "2"}, {"workflow_id": "x"}])
def test_only_the_run_itself_may_act_without_a_window(changes: dict[str, str]) -> None:
    assert decide(OF_THE_RUN, RUN, standing(), LOCK_ID, NOW).refused == ""
    assert "is not the run" in decide(OF_THE_RUN, RUN.model_copy(update=changes), standing(), LOCK_ID, NOW).refused
    assert why_foreign_caller(["ResilienceTest"], RUN, standing()) == ""
    assert "is not a workflow of execution 1" in why_foreign_caller(
        ["ResilienceTest"], RUN.model_copy(update=changes), standing()
    )


@pytest.mark.parametrize("changes", [{"run_id": "2"}, {"workflow_id": "x"}, {"workflow_id": "", "run_id": ""}])
def test_without_types_only_the_executions_own_workflow_may_write(changes: dict[str, str]) -> None:
    assert why_foreign_caller([], RUN.model_copy(update={"workflow_type": "Anything"}), standing()) == ""
    assert "only the workflow of execution 1" in why_foreign_caller([], RUN.model_copy(update=changes), standing())


@pytest.mark.parametrize("changes", [{"run_id": "2"}, {"workflow_id": "x"}])
def test_only_the_run_itself_reads_calls_under_its_window(changes: dict[str, str]) -> None:
    """A workflow of the same type that somebody starts elsewhere is not the run."""
    known = standing(lock(), row(window_id="calls/1", kind=WindowKind.CALLS, state=LedgerState.OPEN))
    assert decide(OF_THE_CALLS, RUN, known, LOCK_ID, NOW).refused == ""
    assert "is not the run" in decide(OF_THE_CALLS, RUN.model_copy(update=changes), known, LOCK_ID, NOW).refused
    assert decide(OF_THE_CALLS, RUN, standing(), LOCK_ID, NOW).refused


@pytest.mark.parametrize("state", [None, *LedgerState])
def test_a_page_is_covered_only_by_open_rules(state: LedgerState | None) -> None:
    page = Caller(workflow_type="LoadPage", workflow_id="load/1/0", run_id="p")
    rules = [row(window_id="rules/1", kind=WindowKind.RULES, state=state)] if state else []
    allowed = decide(OF_A_PAGE, page, standing(lock(), *rules), LOCK_ID, NOW).refused == ""
    assert allowed is (state is LedgerState.OPEN)


@pytest.mark.parametrize("changes", [{}, {"run_id": "2"}, {"workflow_id": "x"}])
def test_only_the_run_itself_reads_calls_while_they_are_recorded(changes: dict[str, str]) -> None:
    need = Need(callers=["ResilienceTest"], covered_by=WindowKind.CALLS, states=[LedgerState.OPEN], of_the_run=True)
    asking = RUN.model_copy(update=changes)
    recorded = standing(lock(), row(window_id="calls/1", kind=WindowKind.CALLS, state=LedgerState.OPEN))
    assert bool(decide(need, asking, recorded, LOCK_ID, NOW).refused) is bool(changes)
    assert "no unsettled calls window" in decide(need, RUN, standing(), LOCK_ID, NOW).refused


def test_no_more_faults_are_on_than_allowed() -> None:
    two = standing(lock(), row(), row(window_id="fault/1/b", service="b"))
    assert why_too_many_faults(two, row(), 1)
    assert not why_too_many_faults(two, row(), 2)
    pair = [row(window_id=f"pair/1/4/{name}", kind=WindowKind.PAIR_FAULT) for name in "abc"]
    assert why_too_many_faults(standing(lock(), *pair), pair[0], 9)
    assert not why_too_many_faults(standing(lock(), *pair[:2]), pair[0], 1)
