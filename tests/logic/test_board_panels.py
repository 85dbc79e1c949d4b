"""The board's later panels: the load test's metrics, the steady state, tokens, and how they end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.logic.test_board import NOW, board, change
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import CaseCounts, CaseVerdict, Phase, Recovery, RunStatus, Verdict
from workflows.contracts.faults import InjectionState
from workflows.contracts.load import CaseOutcome, GeneratedCases
from workflows.contracts.metrics import JudgedCases
from workflows.contracts.steady import SteadyMoment, SteadyReport
from workflows.contracts.windows import ServiceStability, WindowChanged, WindowKind, WindowState
from workflows.logic.board import Board
from workflows.logic.metrics import SHOWN_CASES, metrics_of

__all__ = ["board"]
"""A fixture of the other tests."""


def page(done: int, *cases: CaseVerdict) -> WindowChanged:
    """What the rules window tells after a page."""
    facts = {"batches_done": done, "cases_done": 18 * done, "metrics": metrics_of(cases)}
    return change(WindowKind.RULES, WindowState.OPEN, **facts)


def case(name: str, error_rate: float, p95_ms: float | None = None) -> CaseVerdict:
    return CaseVerdict(case_id=name, outcome=CaseOutcome.MEASURED, error_rate=error_rate, p95_ms=p95_ms)


def test_cases_and_tokens_are_counted_when_they_are_stored(board: Board) -> None:
    """With the token of each service, and how many batches they make."""
    board.generated(GeneratedCases(baseline=1, single=2, dual=17, tokens=2))
    state = board.state
    assert (state.generated.total, state.generated.single, state.generated.dual) == (20, 2, 17)
    assert state.generated.tokens == {"a": "chaos.a.error=1", "b": "chaos.b.remove=1"}
    assert (state.load.batches_total, state.load.batch_size, state.load.cases_total) == (2, 18, 20)


def test_the_load_panel_gathers_all_pages(board: Board) -> None:
    """Worst, mean and cases are those of every page so far, the worst case first."""
    board.generated(GeneratedCases(baseline=1, single=18, dual=17, tokens=2))
    board.window_changed(page(1, case("a", 0, 9), case("b", 100)), NOW)
    board.window_changed(page(2, case("c", 50, 4)), NOW)
    load = board.state.load
    assert (load.batches_done, load.cases_done, load.batches_total) == (2, 36, 2)
    assert (load.worst_p95_ms, load.worst_p95_case, load.mean_error_rate) == (9, "a", 50)
    assert [one.case_id for one in load.cases] == ["b", "c", "a"]


def test_the_load_panel_stays_small(board: Board) -> None:
    """The worst of many cases; the numbers are of all."""
    for number in range(3):
        board.window_changed(page(number + 1, *(case(f"{number}-{one}", one / 10) for one in range(100))), NOW)
    load = board.state.load
    assert len(load.cases) == SHOWN_CASES
    assert load.cases[0].error_rate == 9.9
    assert load.mean_error_rate == 4.95


def test_a_page_without_metrics_is_counted_all_the_same(board: Board) -> None:
    """An older worker tells none."""
    board.window_changed(change(WindowKind.RULES, WindowState.OPEN, batches_done=1, cases_done=18), NOW)
    assert (board.state.load.cases_done, board.state.load.mean_error_rate) == (18, None)


def test_a_repeated_state_of_the_rules_counts_no_page_twice(board: Board) -> None:
    """Only a message about batches has metrics."""
    board.window_changed(page(1, case("a", 10)), NOW)
    board.window_changed(change(WindowKind.RULES, WindowState.CLOSING), NOW)
    board.window_changed(change(WindowKind.RULES, WindowState.CLOSED), NOW)
    assert (board.state.load.cases_done, len(board.state.load.cases)) == (18, 1)


def test_the_steady_state_is_shown_before_and_after(board: Board) -> None:
    """Each with its own report."""
    before, after = SteadyReport(met=True), SteadyReport(met=True, detail="x")
    board.steady(SteadyMoment.BEFORE, before)
    assert (board.state.steady_before, board.state.steady_after) == (before, None)
    board.steady(SteadyMoment.AFTER, after)
    assert (board.state.steady_before, board.state.steady_after) == (before, after)
    assert board.state.recovery is Recovery.NOT_NEEDED


def test_a_system_that_is_ill_afterwards_is_not_recovered(board: Board) -> None:
    """Whatever windows say, then or later: nothing is on, and yet it is not as it was."""
    board.window_changed(change(WindowKind.FAULT, WindowState.CLOSED, service="a"), NOW)
    assert board.state.recovery is Recovery.VERIFIED
    board.steady(SteadyMoment.AFTER, SteadyReport(met=False, detail="status 500 (3 of 3)"))
    assert board.state.recovery is Recovery.UNVERIFIED
    board.window_changed(change(WindowKind.LOCK, WindowState.CLOSED, "lock"), NOW)
    assert board.state.recovery is Recovery.UNVERIFIED


def test_a_system_that_was_ill_before_says_nothing_about_recovery(board: Board) -> None:
    """Nothing had been switched on."""
    board.steady(SteadyMoment.BEFORE, SteadyReport(met=False, detail="status 500 (3 of 3)"))
    assert board.state.recovery is Recovery.NOT_NEEDED


def test_the_verdict_brings_its_counts(board: Board) -> None:
    """Excluded cases among them."""
    counts = CaseCounts(total=4, measured=3, skipped=1, excluded=1, passed=2, failed=1)
    board.judged(JudgedCases(verdict=Verdict.FAILED, cases=counts, failed_cases=[case("a+b", 100)]))
    state = board.state
    assert (state.verdict, state.cases, [one.case_id for one in state.failed_cases]) == (
        Verdict.FAILED,
        counts,
        ["a+b"],
    )


def test_an_end_closes_the_last_phase_and_stops_the_estimate(board: Board) -> None:
    """An analysis that had not ended failed for the reason that the run gives."""
    board.window_changed(change(WindowKind.RECORDING, WindowState.OPEN, analyze_task_id="t"), NOW)
    board.ended(RunStatus.FAILED, Phase.FAILED, NOW + timedelta(seconds=2), message="no patterns")
    state = board.snapshot(NOW + timedelta(seconds=3))
    assert (state.analysis.state, state.analysis.error) == ("failed", "no patterns")
    assert state.phases[-2].finished_at == state.finished_at == NOW + timedelta(seconds=2)
    assert state.eta_seconds is None


@pytest.mark.parametrize("opened", [True, False])
@pytest.mark.parametrize(
    ("status", "phase", "expected"),
    [
        (RunStatus.FAILED, Phase.FAILED, ("failed", "the proxy is silent")),
        (RunStatus.CANCELLED, Phase.CANCELLED, ("cancelled", "")),
    ],
)
def test_an_analysis_that_was_cut_short_is_not_going_on(
    board: Board, opened: bool, status: RunStatus, phase: Phase, expected: tuple[str, str]
) -> None:
    """Whether the proxy had begun to record or refused to: it neither waits nor records when the run is over."""
    board.enter(Phase.ANALYZING_PATTERNS, NOW)
    board.window_changed(change(WindowKind.RECORDING, WindowState.OPEN if opened else WindowState.OPENING), NOW)
    board.window_changed(change(WindowKind.RECORDING, WindowState.CLOSED), NOW)
    board.ended(status, phase, NOW, message="the proxy is silent" if status is RunStatus.FAILED else "")
    assert (board.state.analysis.state, board.state.analysis.error) == expected


def test_an_analysis_that_was_never_begun_is_pending(board: Board) -> None:
    """What ended the run is told in the header."""
    board.ended(RunStatus.FAILED, Phase.FAILED, NOW, message="held by another run")
    assert (board.state.analysis.state, board.state.analysis.error) == ("pending", "")


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        (WindowState.CLOSED, (InjectionState.RECOVERED, "", 1, 0)),
        (WindowState.UNVERIFIED, (InjectionState.FAILED, "still there", 1, 0)),
        (WindowState.CLOSING, (InjectionState.RUNNING, "", 0, 1)),
    ],
)
def test_a_fault_that_was_ended_with_its_run_is_shown_as_its_window_left_it(
    board: Board, closed: WindowState, expected: tuple[InjectionState, str, int, int]
) -> None:
    """A run that is cancelled during a fault gets no report of it."""
    for state, detail in ((WindowState.OPEN, ""), (closed, "" if closed is WindowState.CLOSED else "still there")):
        board.window_changed(change(WindowKind.FAULT, state, service="a", peer_name="hf-1-a", detail=detail), NOW)
    board.ended(RunStatus.CANCELLED, Phase.CANCELLED, NOW)
    state, row = board.state, board.state.injections[0]
    assert (row.state, row.error, state.injections_completed, state.injections_running) == expected
    assert (row.fault_name, state.injections[1].state) == ("hf-1-a", InjectionState.PENDING)


def test_a_service_is_known_to_be_stable_again_without_its_report(board: Board) -> None:
    """A run that is ended during a fault is signalled the end of its window, and gets no report."""
    board.window_changed(change(WindowKind.FAULT, WindowState.OPEN, service="a", peer_name="hf-1-a"), NOW)
    assert board.state.injections[0].stable is None
    again = [ServiceStability(service="a", stable=True, waited_seconds=0.1)]
    board.window_changed(change(WindowKind.FAULT, WindowState.CLOSED, service="a", stability=again), NOW)
    assert board.state.injections[0].stable is True


def test_how_services_took_the_rules_is_not_how_they_took_their_end(board: Board) -> None:
    """Else a run that failed because of them would show them all stable."""
    taken = [ServiceStability(service="a", stable=False, detail="503")]
    gone = [ServiceStability(service="a", stable=True)]
    board.window_changed(change(WindowKind.RULES, WindowState.OPENING, stability=taken), NOW)
    board.window_changed(change(WindowKind.RULES, WindowState.CLOSED, stability=gone), NOW)
    assert board.state.rules.stability == taken


def test_a_run_whose_input_is_refused_has_failed() -> None:
    """It has no plan, and does not wait to begin."""
    board = Board()
    board.refused(ErrorCode.VALIDATION_ERROR, "E001 1 problem", NOW)
    state = board.snapshot(NOW)
    assert (state.status, state.phase, state.recovery) == (RunStatus.FAILED, Phase.FAILED, Recovery.NOT_NEEDED)
    assert (state.error_code, state.error_message) == (ErrorCode.VALIDATION_ERROR, "E001 1 problem")
    assert state.started_at == state.finished_at == NOW


def test_cases_that_judging_makes_invalid_leave_the_load_panel(board: Board) -> None:
    """Their numbers are of rules that did not answer everything."""
    board.generated(GeneratedCases(baseline=1, single=2, dual=1, tokens=2))
    board.window_changed(page(1, case("a", 0, 9), case("b", 100)), NOW)
    unanswered = CaseVerdict(case_id="b", outcome=CaseOutcome.INVALID, reason="no rule answers it")
    counts = CaseCounts(total=4, measured=1, passed=1, invalid=1)
    load = metrics_of([case("a", 0, 9), unanswered])
    board.judged(JudgedCases(verdict=Verdict.PASSED, cases=counts, load=load))
    assert (board.state.load.mean_error_rate, board.state.load.batches_done) == (0, 1)
    assert [(one.case_id, one.outcome) for one in board.state.load.cases] == [("a", "measured"), ("b", "invalid")]
