"""Panels of runs that are larger than the panels: nothing is left out silently."""

from __future__ import annotations

from typing import Any

import pytest

from cli.ui.panels import Panels, panel_lines
from domain.executions.execution import Verdict
from domain.executions.state import WindowRow
from domain.executions.windows import ServiceStability, WindowKind, WindowState
from domain.measuring.load import CaseOutcome
from domain.pairs.fidelity import PairFidelity
from domain.resilience.model import CaseCounts, CaseVerdict
from domain.resilience.state import AnalysisPanel, CasesPanel, LoadPanel, ResilienceState, RulesPanel


def case(name: str, **facts: Any) -> CaseVerdict:
    return CaseVerdict.model_validate({"case_id": name, "outcome": CaseOutcome.MEASURED, "error_rate": 100} | facts)


def test_panels_count_the_rows_that_they_omit() -> None:
    """Tokens, cases, and failures beyond those that travel with a run."""
    state = ResilienceState(
        generated=CasesPanel(total=30, baggage_tokens=3, tokens={"a": "chaos.a.remove=1"}),
        load=LoadPanel(cases_total=30, cases_done=30, cases=[case("a"), case("b")], mean_error_rate=50),
        cases=CaseCounts(total=30, measured=28, passed=8, failed=20, skipped=2, excluded=1),
        failed_cases=[case("a", verdict=Verdict.FAILED, reason="error rate 100% > 1%")],
        verdict=Verdict.FAILED,
    )
    lines = panel_lines(state)
    assert "  ... and 2 more" in lines
    assert "  ... and 28 more, which are no worse: the store has every case" in lines
    assert "  8 passed, 20 failed, 0 invalid, 2 skipped, 1 of them excluded by the plan" in lines
    assert "  of the failed cases, the worst are shown with their reasons: 1" in lines


def test_complete_panels_mention_no_omitted_rows() -> None:
    """Even before there is a verdict, and if nothing was measured."""
    skipped = case("a", outcome=CaseOutcome.SKIPPED, error_rate=None, reason="no traffic")
    state = ResilienceState(
        generated=CasesPanel(total=1, baggage_tokens=1, tokens={"a": "chaos.a.remove=1"}),
        load=LoadPanel(cases_total=1, cases_done=1, cases=[skipped]),
    )
    text = "\n".join(panel_lines(state))
    assert " more" not in text
    assert " passed" not in text
    assert "worst p95 none, slowest request none, mean error rate none" in text


def test_the_same_line_in_a_different_panel_is_shown_again() -> None:
    """A service may be as stable with the rules as it was after the analysis: that is shown twice, but not thrice."""
    panels = Panels()
    stable = [ServiceStability(service="reviews", stable=True, waited_seconds=0.1)]
    analysed = ResilienceState(analysis=AnalysisPanel(state="completed", services=1, stability=stable))
    ruled = analysed.model_copy(update={"rules": RulesPanel(stability=stable)})
    line = "  reviews                  stable after 0.1 s"
    assert line in panels.lines(analysed)
    assert panels.lines(analysed) == []
    assert panels.lines(ruled) == [line]
    assert panels.lines(ruled) == []


@pytest.mark.parametrize(
    ("window", "found", "line"),
    [
        (WindowState.OPEN, None, "on"),
        (WindowState.OPEN, 0, "on; no fallback calls found"),
        (WindowState.CLOSED, 1, "off, and seen to be off; 1 fallback call found"),
        (WindowState.UNVERIFIED, 2, "NOT seen to be off; 2 fallback calls found"),
    ],
)
def test_the_recording_of_calls_is_shown_with_its_findings(window: WindowState, found: int | None, line: str) -> None:
    row = WindowRow(window_id="calls/1", kind=WindowKind.CALLS, state=window)
    state = ResilienceState(windows=[row], fallback_calls=found)
    assert f"  calls recorded while services are broken: {line}" in panel_lines(state)
    assert not any("calls recorded" in text for text in panel_lines(ResilienceState()))


def test_pairs_in_doubt_are_not_shown_as_requested_pairs() -> None:
    found = PairFidelity(share=0, measured=9, chosen=2, agreed=1, disagreed=1, asked_for=False)
    (line,) = [text for text in panel_lines(ResilienceState(pairs=found)) if text.startswith("pairs")]
    assert line.endswith("of 2 of 9 measured pairs whose results were in doubt")
