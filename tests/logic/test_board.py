"""The board: what the status query answers after whatever stages and windows report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workflows.contracts.execution import Phase, Recovery, RunStatus
from workflows.contracts.faults import CapturedFailure, FaultReport, InjectionState
from workflows.contracts.load import GeneratedCases
from workflows.contracts.plan import Plan
from workflows.contracts.windows import WindowChanged, WindowKind, WindowState
from workflows.logic.board import Board
from workflows.logic.details import progress_table

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def board() -> Board:
    plan = Plan.model_validate(
        {
            "name": "shop",
            "system": {
                "namespace": "shop",
                "proxy": "http://127.0.0.1:1",
                "faults": "http://127.0.0.1:2",
                "services": {"a": "http://127.0.0.1:3", "b": "http://127.0.0.1:4"},
            },
            "request": {"url": "http://127.0.0.1:3/api"},
            "services": [{"name": "b", "fault": "remove"}, {"name": "a", "fault": "error"}],
            "slo": {"error_rate": "1%"},
        }
    )
    board = Board()
    board.accepted(plan, NOW)
    return board


def change(kind: WindowKind, state: WindowState, window: str = "w", **facts: Any) -> WindowChanged:
    return WindowChanged(window_id=window, kind=kind, state=state, **facts)


def test_a_new_run_has_its_services_pending(board: Board) -> None:
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
def test_recovery_is_what_all_windows_say_together(
    board: Board, states: list[WindowState], recovery: Recovery | None
) -> None:
    """Verified only when every one is closed; one unverified window decides."""
    for number, state in enumerate(states):
        board.window_changed(change(WindowKind.FAULT, state, f"w{number}", service="a"), NOW)
    assert board.state.recovery is recovery


def test_the_lock_holds_nothing_at_the_peers(board: Board) -> None:
    """An open lock is no reason to doubt the system."""
    board.window_changed(change(WindowKind.LOCK, WindowState.OPEN), NOW)
    assert board.state.recovery is Recovery.NOT_NEEDED
    assert board.is_open("w")


def test_a_fault_goes_from_pending_to_recovered(board: Board) -> None:
    """The row shows the fault's name while it is on, and the captured status afterwards."""
    opened = change(WindowKind.FAULT, WindowState.OPEN, service="a", peer_name="hf-1-a")
    board.window_changed(opened, NOW)
    row = board.state.injections[0]
    assert (row.state, row.fault_name) == (InjectionState.RUNNING, "hf-1-a")
    captured = CapturedFailure(service="a", responses=1, status=503)
    board.injected(FaultReport(service="a", fault_name="hf-1-a", state=InjectionState.RECOVERED, captured=captured))
    row = board.state.injections[0]
    assert (row.state, row.replay_status) == (InjectionState.RECOVERED, 503)


def test_rules_are_ready_only_while_open(board: Board) -> None:
    """`ready` is no promise: it is what was seen, and it ends with the window."""
    for state, ready in ((WindowState.OPENING, False), (WindowState.OPEN, True), (WindowState.CLOSING, False)):
        board.window_changed(change(WindowKind.RULES, state, rules=4), NOW)
        assert board.state.rules.ready is ready
    assert board.state.rules.rules == 4


def test_the_estimate_comes_from_the_rate_so_far(board: Board) -> None:
    """Half of the cases in ten seconds leaves ten seconds; nothing is estimated before."""
    board.generated(GeneratedCases(baseline=1, single=2, dual=1, tokens=2))
    board.enter(Phase.LOAD_TEST_BASELINE, NOW)
    assert board.snapshot(NOW + timedelta(seconds=10)).eta_seconds is None
    board.window_changed(change(WindowKind.RULES, WindowState.OPEN, batches_done=1, cases_done=2), NOW)
    assert board.snapshot(NOW + timedelta(seconds=10)).eta_seconds == 10


def test_phases_follow_each_other_without_gaps(board: Board) -> None:
    """Each phase ends when the next begins."""
    board.enter(Phase.ANALYZING_PATTERNS, NOW + timedelta(seconds=3))
    first, second = board.state.phases
    assert first.finished_at == second.started_at
    assert second.finished_at is None


def test_the_progress_table_names_the_run_and_its_trouble(board: Board) -> None:
    """What the Web UI shows has the phase, every service and the error."""
    board.injected(FaultReport(service="a", fault_name="f", state=InjectionState.FAILED, error="it exploded"))
    table = progress_table(board.state)
    assert "**shop**" in table
    assert "it exploded" in table


def failure(captured: CapturedFailure | None, error: str = "", *, recovered: bool = True) -> FaultReport:
    state = InjectionState.FAILED if error else InjectionState.RECOVERED
    return FaultReport(
        service="a", fault_name="f", state=state, captured=captured, error=error, recovery_verified=recovered
    )


def test_trouble_with_further_calls_takes_nothing_from_what_was_captured(board: Board) -> None:
    """The service has rules all the same. That it was not seen to recover is another thing."""
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


def test_a_service_that_only_failures_reach_is_captured_late(board: Board) -> None:
    """It had no traffic to replay before, and why is not shown any more."""
    board.uninjected("a", "no traffic of a was recorded")
    board.injected_again(failure(CapturedFailure(service="a", status=500, responses=1, no_effect=True)))
    row = board.state.injections[0]
    assert (row.state, row.error, row.replay_status, row.no_effect) == (InjectionState.RECOVERED, "", 500, True)
    board.injected_again(failure(CapturedFailure(service="a", status=200, responses=1)))
    row = board.state.injections[0]
    assert (row.replay_status, row.no_effect) == (500, False)
