"""The board's later panels: the load test's metrics, the steady state, tokens, and how they end."""

from __future__ import annotations

from datetime import timedelta

from tests.logic.test_board import NOW, board, change
from workflows.contracts.execution import CaseCounts, CaseVerdict, Judgement, Phase, Recovery, RunStatus, Verdict
from workflows.contracts.load import CaseOutcome, GeneratedCases
from workflows.contracts.steady import SteadyMoment, SteadyReport
from workflows.contracts.windows import WindowChanged, WindowKind, WindowState
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
    board.judged(Judgement(verdict=Verdict.FAILED, cases=counts, failed_cases=[case("a+b", 100)]))
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
