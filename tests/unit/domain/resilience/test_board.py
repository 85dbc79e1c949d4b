"""The board: the answer of the status query after reports of stages and windows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.executions.execution import Recovery, RunStatus
from domain.executions.windows import WindowKind, WindowState
from domain.faults.model import CapturedFailure, FaultReport, InjectionState
from domain.measuring.load import GeneratedCases
from domain.resilience.board import ResilienceBoard
from domain.resilience.model import Phase
from domain.resilience.web_ui_table import resilience_table
from tests.support.boards import NOW, change


def test_a_new_run_shows_its_services_as_pending(board: ResilienceBoard) -> None:
    """Sorted by name, before anything is switched on."""
    state = board.state
    assert [(row.service, row.state) for row in state.injections] == [("a", "Pending"), ("b", "Pending")]
    assert (state.status, state.phase, state.recovery) == (
        RunStatus.RUNNING,
        Phase.GENERATING_CASES,
        Recovery.NOT_NEEDED,
    )


@pytest.mark.parametrize(
    ("states", "recovery"),
    [
        ([WindowState.OPENING], None),
        ([WindowState.OPEN], None),
        ([WindowState.CLOSING], None),
        ([WindowState.CLOSED], Recovery.VERIFIED),
        ([WindowState.CLOSED, WindowState.OPEN], None),
        ([WindowState.CLOSED, WindowState.UNVERIFIED], Recovery.UNVERIFIED),
        ([WindowState.OPEN, WindowState.UNVERIFIED], Recovery.UNVERIFIED),
    ],
)
def test_recovery_combines_the_states_of_all_windows(
    board: ResilienceBoard, states: list[WindowState], recovery: Recovery | None
) -> None:
    """It is verified only if every window is closed. One unverified window decides."""
    for number, state in enumerate(states):
        board.window_changed(change(WindowKind.FAULT, state, f"w{number}", service="a"), NOW)
    assert board.state.recovery is recovery


def test_an_open_lock_does_not_affect_recovery(board: ResilienceBoard) -> None:
    """It holds nothing at the peers."""
    board.window_changed(change(WindowKind.LOCK, WindowState.OPEN), NOW)
    assert board.state.recovery is Recovery.NOT_NEEDED
    assert board.is_open("w")


def test_a_fault_goes_from_pending_to_recovered(board: ResilienceBoard) -> None:
    """The row shows the fault's name while the fault is active, and the captured status afterwards."""
    opened = change(WindowKind.FAULT, WindowState.OPEN, service="a", peer_name="hf-1-a")
    board.window_changed(opened, NOW)
    row = board.state.injections[0]
    assert (row.state, row.fault_name) == (InjectionState.RUNNING, "hf-1-a")
    captured = CapturedFailure(service="a", responses=1, status=503)
    board.injected(FaultReport(service="a", fault_name="hf-1-a", state=InjectionState.RECOVERED, captured=captured))
    row = board.state.injections[0]
    assert (row.state, row.replay_status) == (InjectionState.RECOVERED, 503)


def test_rules_are_ready_only_while_open(board: ResilienceBoard) -> None:
    """`ready` promises nothing: it is an observation and ends with the window."""
    for state, ready in ((WindowState.OPENING, False), (WindowState.OPEN, True), (WindowState.CLOSING, False)):
        board.window_changed(change(WindowKind.RULES, state, rules=4), NOW)
        assert board.state.rules.ready is ready
    assert board.state.rules.rules == 4


def test_the_estimate_uses_the_rate_of_cases_measured(board: ResilienceBoard) -> None:
    """If half of the cases took ten seconds, ten remain. Before that, there is no estimate."""
    board.generated(GeneratedCases(baseline=1, single=2, dual=1, tokens=2))
    board.enter(Phase.LOAD_TEST_BASELINE, NOW)
    assert board.snapshot(NOW + timedelta(seconds=10)).eta_seconds is None
    board.window_changed(change(WindowKind.RULES, WindowState.OPEN, batches_done=1, cases_done=2), NOW)
    assert board.snapshot(NOW + timedelta(seconds=10)).eta_seconds == 10


def test_phases_follow_each_other_without_gaps(board: ResilienceBoard) -> None:
    """Each phase ends when the next begins."""
    board.enter(Phase.ANALYZING_PATTERNS, NOW + timedelta(seconds=3))
    first, second = board.state.phases
    assert first.finished_at == second.started_at
    assert second.finished_at is None


def test_the_progress_table_shows_the_run_and_its_errors(board: ResilienceBoard) -> None:
    """The Web UI shows this table."""
    board.injected(FaultReport(service="a", fault_name="f", state=InjectionState.FAILED, error="it exploded"))
    table = resilience_table(board.state)
    assert "**shop**" in table
    assert "it exploded" in table
    assert "| verdict |  |" in table
    assert "| recovery | not needed: nothing was switched on |" in table


@pytest.mark.parametrize(
    ("recovery", "words"),
    [(None, "something is on"), *((recovery, recovery.value.replace("_", " ")) for recovery in Recovery)],
)
def test_the_progress_table_of_an_ended_run_says_what_is_left(
    board: ResilienceBoard, recovery: Recovery | None, words: str
) -> None:
    """Someone who read only this could not tell a run without a verdict from one that goes on."""
    table = resilience_table(board.state.model_copy(update={"finished_at": NOW, "recovery": recovery}))
    assert f"| recovery | {words}" in table
    assert "| verdict | none: it ended before one was reached |" in table


def failure(captured: CapturedFailure | None, error: str = "", *, recovered: bool = True) -> FaultReport:
    state = InjectionState.FAILED if error else InjectionState.RECOVERED
    return FaultReport(
        service="a", fault_name="f", state=state, captured=captured, error=error, recovery_verified=recovered
    )


def test_a_later_failed_fault_keeps_the_captured_status(board: ResilienceBoard) -> None:
    """The service still has its rules. Only an unverified recovery makes it fail."""
    captured = CapturedFailure(service="a", status=503, responses=1)
    board.injected(failure(captured))
    opened = change(WindowKind.FAULT, WindowState.OPEN, "w2", service="a", peer_name="f2")
    board.window_changed(opened, NOW)
    assert board.state.injections[0].state is InjectionState.RUNNING
    board.injected_again(failure(None, "REPLAY_FAILED"))
    row = board.state.injections[0]
    assert (row.state, row.error, row.replay_status) == (InjectionState.RECOVERED, "", 503)
    board.injected_again(failure(None, "it is still on", recovered=False))
    row = board.state.injections[0]
    assert (row.state, row.error) == (InjectionState.FAILED, "it is still on")


def test_a_service_reached_only_under_failures_is_captured_later(board: ResilienceBoard) -> None:
    """It had no traffic to replay before. That reason is no longer shown."""
    board.uninjected("a", "no traffic of a was recorded")
    board.injected_again(failure(CapturedFailure(service="a", status=500, responses=1, no_effect=True)))
    row = board.state.injections[0]
    assert (row.state, row.error, row.replay_status, row.no_effect) == (InjectionState.RECOVERED, "", 500, True)
    board.injected_again(failure(CapturedFailure(service="a", status=200, responses=1)))
    row = board.state.injections[0]
    assert (row.replay_status, row.no_effect) == (500, False)
