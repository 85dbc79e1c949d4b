"""Panels of the board: metrics of the load test, steady state, tokens, and how a run ends."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.executions.windows import ServiceStability, WindowChanged, WindowKind, WindowState
from domain.faults.model import InjectionState
from domain.measuring.load import CaseOutcome, GeneratedCases
from domain.measuring.merging import SHOWN_CASES, metrics_of
from domain.measuring.metrics import JudgedCases
from domain.measuring.steady_report import SteadyMoment, SteadyReport
from domain.resilience.board import ResilienceBoard
from domain.resilience.model import CaseCounts, CaseVerdict, Phase
from tests.support.boards import NOW, board, change

__all__ = ["board"]
"""A fixture shared with other test files."""


def page(done: int, *cases: CaseVerdict) -> WindowChanged:
    """Return the message that the rules window sends after a page."""
    facts = {"batches_done": done, "cases_done": 18 * done, "metrics": metrics_of(cases)}
    return change(WindowKind.RULES, WindowState.OPEN, **facts)


def case(name: str, error_rate: float, p95_ms: float | None = None) -> CaseVerdict:
    return CaseVerdict(case_id=name, outcome=CaseOutcome.MEASURED, error_rate=error_rate, p95_ms=p95_ms)


def test_generated_cases_and_tokens_are_shown(board: ResilienceBoard) -> None:
    """With the token of each service, and the number of batches."""
    board.generated(GeneratedCases(baseline=1, single=2, dual=17, tokens=2))
    state = board.state
    assert (state.generated.total, state.generated.single, state.generated.dual) == (20, 2, 17)
    assert state.generated.tokens == {"a": "chaos.a.error=1", "b": "chaos.b.remove=1"}
    assert (state.load.batches_total, state.load.batch_size, state.load.cases_total) == (2, 18, 20)


def test_the_load_panel_combines_all_pages(board: ResilienceBoard) -> None:
    """Worst, mean and cases are those of every page until now, with the worst case first."""
    board.generated(GeneratedCases(baseline=1, single=18, dual=17, tokens=2))
    board.window_changed(page(1, case("a", 0, 9), case("b", 100)), NOW)
    board.window_changed(page(2, case("c", 50, 4)), NOW)
    load = board.state.load
    assert (load.batches_done, load.cases_done, load.batches_total) == (2, 36, 2)
    assert (load.worst_p95_ms, load.worst_p95_case, load.mean_error_rate) == (9, "a", 50)
    assert [verdict.case_id for verdict in load.cases] == ["b", "c", "a"]


def test_the_load_panel_stays_small(board: ResilienceBoard) -> None:
    """It shows only the worst of many cases. The numbers are of all."""
    for number in range(3):
        board.window_changed(
            page(number + 1, *(case(f"{number}-{position}", position / 10) for position in range(100))), NOW
        )
    load = board.state.load
    assert len(load.cases) == SHOWN_CASES
    assert load.cases[0].error_rate == 9.9
    assert load.mean_error_rate == 4.95


def test_a_page_without_metrics_still_counts(board: ResilienceBoard) -> None:
    """An older worker sends none."""
    board.window_changed(change(WindowKind.RULES, WindowState.OPEN, batches_done=1, cases_done=18), NOW)
    assert (board.state.load.cases_done, board.state.load.mean_error_rate) == (18, None)


def test_a_repeated_state_of_the_rules_window_counts_no_page_twice(board: ResilienceBoard) -> None:
    """Only a message about batches has metrics."""
    board.window_changed(page(1, case("a", 10)), NOW)
    board.window_changed(change(WindowKind.RULES, WindowState.CLOSING), NOW)
    board.window_changed(change(WindowKind.RULES, WindowState.CLOSED), NOW)
    assert (board.state.load.cases_done, len(board.state.load.cases)) == (18, 1)


def test_the_steady_state_has_a_report_before_and_after(board: ResilienceBoard) -> None:
    before, after = SteadyReport(met=True), SteadyReport(met=True, detail="x")
    board.steady(SteadyMoment.BEFORE, before)
    assert (board.state.steady_before, board.state.steady_after) == (before, None)
    board.steady(SteadyMoment.AFTER, after)
    assert (board.state.steady_before, board.state.steady_after) == (before, after)
    assert board.state.recovery is Recovery.NOT_NEEDED


def test_a_system_not_steady_afterwards_is_unverified(board: ResilienceBoard) -> None:
    """Whatever windows report, then or later: nothing is active, yet the system is not as before."""
    board.window_changed(change(WindowKind.FAULT, WindowState.CLOSED, service="a"), NOW)
    assert board.state.recovery is Recovery.VERIFIED
    board.steady(SteadyMoment.AFTER, SteadyReport(met=False, detail="status 500 (3 of 3)"))
    assert board.state.recovery is Recovery.UNVERIFIED
    board.window_changed(change(WindowKind.LOCK, WindowState.CLOSED, "lock"), NOW)
    assert board.state.recovery is Recovery.UNVERIFIED


def test_a_system_not_steady_before_does_not_affect_recovery(board: ResilienceBoard) -> None:
    """Nothing had been switched on."""
    board.steady(SteadyMoment.BEFORE, SteadyReport(met=False, detail="status 500 (3 of 3)"))
    assert board.state.recovery is Recovery.NOT_NEEDED


def test_a_verdict_comes_with_its_counts(board: ResilienceBoard) -> None:
    """Including excluded cases."""
    counts = CaseCounts(total=4, measured=3, skipped=1, excluded=1, passed=2, failed=1)
    board.judged(JudgedCases(verdict=Verdict.FAILED, cases=counts, failed_cases=[case("a+b", 100)]))
    state = board.state
    assert (state.verdict, state.cases, [failed.case_id for failed in state.failed_cases]) == (
        Verdict.FAILED,
        counts,
        ["a+b"],
    )


def test_an_end_closes_the_last_phase_and_stops_the_estimate(board: ResilienceBoard) -> None:
    """An analysis that had not ended failed for the same reason as the run."""
    board.window_changed(change(WindowKind.RECORDING, WindowState.OPEN, analyze_task_id="t"), NOW)
    board.ended(RunStatus.FAILED, NOW + timedelta(seconds=2), message="no patterns")
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
def test_an_unfinished_analysis_ends_with_its_run(
    board: ResilienceBoard, opened: bool, status: RunStatus, phase: Phase, expected: tuple[str, str]
) -> None:
    """Whether or not the proxy had begun to record, it neither waits nor records once the run is over."""
    board.enter(Phase.ANALYZING_PATTERNS, NOW)
    board.window_changed(change(WindowKind.RECORDING, WindowState.OPEN if opened else WindowState.OPENING), NOW)
    board.window_changed(change(WindowKind.RECORDING, WindowState.CLOSED), NOW)
    board.ended(status, NOW, message="the proxy is silent" if status is RunStatus.FAILED else "")
    assert (board.state.analysis.state, board.state.analysis.error) == expected


def test_an_analysis_that_never_began_stays_pending(board: ResilienceBoard) -> None:
    """The header shows what ended the run."""
    board.ended(RunStatus.FAILED, NOW, message="held by another run")
    assert (board.state.analysis.state, board.state.analysis.error) == ("pending", "")


@pytest.mark.parametrize(
    ("closed", "expected"),
    [
        (WindowState.CLOSED, (InjectionState.RECOVERED, "", 1, 0)),
        (WindowState.UNVERIFIED, (InjectionState.FAILED, "still there", 1, 0)),
        (WindowState.CLOSING, (InjectionState.RUNNING, "", 0, 1)),
    ],
)
def test_a_fault_cut_short_by_its_run_is_shown_as_its_window_left_it(
    board: ResilienceBoard, closed: WindowState, expected: tuple[InjectionState, str, int, int]
) -> None:
    """A run cancelled during a fault gets no report of it."""
    for change_to, detail in ((WindowState.OPEN, ""), (closed, "" if closed is WindowState.CLOSED else "still there")):
        board.window_changed(change(WindowKind.FAULT, change_to, service="a", peer_name="hf-1-a", detail=detail), NOW)
    board.ended(RunStatus.CANCELLED, NOW)
    state, row = board.state, board.state.injections[0]
    assert (row.state, row.error, state.injections_completed, state.injections_running) == expected
    assert (row.fault_name, state.injections[1].state) == ("hf-1-a", InjectionState.PENDING)


def test_the_closed_window_of_a_fault_shows_that_its_service_is_stable(board: ResilienceBoard) -> None:
    """A run that ends during a fault is signalled the end of the window, but gets no report."""
    board.window_changed(change(WindowKind.FAULT, WindowState.OPEN, service="a", peer_name="hf-1-a"), NOW)
    assert board.state.injections[0].stable is None
    again = [ServiceStability(service="a", stable=True, waited_seconds=0.1)]
    board.window_changed(change(WindowKind.FAULT, WindowState.CLOSED, service="a", stability=again), NOW)
    assert board.state.injections[0].stable is True


def test_stability_after_the_rules_does_not_replace_stability_with_them(board: ResilienceBoard) -> None:
    """Otherwise a run that failed because of unstable services would show them all as stable."""
    taken = [ServiceStability(service="a", stable=False, detail="503")]
    gone = [ServiceStability(service="a", stable=True)]
    board.window_changed(change(WindowKind.RULES, WindowState.OPENING, stability=taken), NOW)
    board.window_changed(change(WindowKind.RULES, WindowState.CLOSED, stability=gone), NOW)
    assert board.state.rules.stability == taken


def test_a_run_with_refused_input_has_failed() -> None:
    """It has no plan, and does not wait to begin."""
    board = ResilienceBoard()
    board.refused(ErrorCode.VALIDATION_ERROR, "E001 1 problem", NOW)
    state = board.snapshot(NOW)
    assert (state.status, state.phase, state.recovery) == (RunStatus.FAILED, Phase.FAILED, Recovery.NOT_NEEDED)
    assert (state.error_code, state.error_message) == (ErrorCode.VALIDATION_ERROR, "E001 1 problem")
    assert state.started_at == state.finished_at == NOW


def test_cases_that_judging_makes_invalid_lose_their_metrics(board: ResilienceBoard) -> None:
    """The rules did not answer everything when these numbers were measured."""
    board.generated(GeneratedCases(baseline=1, single=2, dual=1, tokens=2))
    board.window_changed(page(1, case("a", 0, 9), case("b", 100)), NOW)
    unanswered = CaseVerdict(case_id="b", outcome=CaseOutcome.INVALID, reason="no rule answers it")
    counts = CaseCounts(total=4, measured=1, passed=1, invalid=1)
    load = metrics_of([case("a", 0, 9), unanswered])
    board.judged(JudgedCases(verdict=Verdict.PASSED, cases=counts, load=load))
    assert (board.state.load.mean_error_rate, board.state.load.batches_done) == (0, 1)
    assert [(verdict.case_id, verdict.outcome) for verdict in board.state.load.cases] == [
        ("a", "measured"),
        ("b", "invalid"),
    ]
