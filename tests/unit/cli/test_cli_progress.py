"""Progress lines: each change is shown once, in the order in which a run makes it."""

from __future__ import annotations

from datetime import UTC, datetime

from cli.ui.progress import Progress
from domain.errors import ErrorCode
from domain.executions.execution import RunStatus, Verdict
from domain.executions.state import WindowRow
from domain.executions.windows import WindowKind, WindowState
from domain.faults.model import InjectionState
from domain.pairs.fidelity import PairFidelity
from domain.resilience.model import CaseCounts, Phase
from domain.resilience.state import AnalysisPanel, InjectionRow, LoadPanel, PhaseTime, ResilienceState, RulesPanel
from domain.traffic.summary import RecordedService

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def state(*phases: Phase, **facts: object) -> ResilienceState:
    entered = [PhaseTime(phase=phase, started_at=NOW) for phase in phases]
    return ResilienceState.model_validate(
        {"execution_id": 7, "plan": "shop", "namespace": "shop", "phases": entered, "phase": phases[-1]} | facts
    )


RECORDED = AnalysisPanel(recorded=[RecordedService(service="reviews", patterns=2, baggage_forwarded=True)])
CASES = CaseCounts(total=4, baseline=1, single=2, dual=1)
THREE = (Phase.GENERATING_CASES, Phase.ANALYZING_PATTERNS, Phase.INJECTING_AND_REPLAYING)


def test_an_unchanged_state_is_shown_once() -> None:
    """A run that stands still prints nothing."""
    progress = Progress()
    first = progress.lines(state(Phase.GENERATING_CASES))
    assert first[0] == "execution 7 of plan shop"
    assert first[1].startswith("GENERATING_CASES ")
    assert progress.lines(state(Phase.GENERATING_CASES)) == []


def test_changes_between_two_looks_are_shown_under_their_own_phase() -> None:
    """Facts of a phase stand before the next phase's headline, even if a single look finds both."""
    progress = Progress()
    progress.lines(state(*THREE[:2]))
    lines = progress.lines(state(*THREE, analysis=RECORDED, cases=CASES))
    assert [line.split()[0] for line in lines] == ["recorded", "4", "INJECTING_AND_REPLAYING"]
    assert "reviews 2" in lines[0]


def test_each_service_is_shown_when_it_breaks_and_when_it_recovers() -> None:
    """First broken, under its fault's name, then how it answered. A late look shows both."""
    progress = Progress()
    progress.lines(state(*THREE))
    running = InjectionRow(service="reviews", fault_name="hf-x", state=InjectionState.RUNNING)
    done = running.model_copy(update={"state": InjectionState.RECOVERED, "replay_status": 503, "stable": True})
    late = InjectionRow(service="shipping", fault_name="hf-y", state=InjectionState.RECOVERED, replay_status=500)
    assert progress.lines(state(*THREE, injections=[running])) == ["  reviews              broken (hf-x)"]
    assert progress.lines(state(*THREE, injections=[done, late])) == [
        "  reviews              answered 503; recovered",
        "  shipping             broken (hf-y)",
        "  shipping             answered 500; recovered",
    ]


def test_a_service_without_a_fault_shows_why() -> None:
    """A skipped or failed injection is never silent."""
    failed = InjectionRow(service="reviews", state=InjectionState.FAILED, error="nothing was recorded of it")
    lines = Progress().lines(state(*THREE, injections=[failed]))
    assert lines[-1] == "  reviews              failed: nothing was recorded of it"


def test_rules_batches_and_cases_are_shown() -> None:
    """Rules only once they act. Cases whenever there are more, with the time that is left."""
    progress = Progress()
    phases = (*THREE, Phase.RULES_READY)
    assert progress.lines(state(*phases))[-1].startswith("RULES_READY")
    ready = RulesPanel(rules=10, ready=True, ttl_seconds=600)
    assert "10 rules ready" in progress.lines(state(*phases, rules=ready))[0]
    phases = (*phases, Phase.LOAD_TEST_BASELINE)
    progress.lines(state(*phases, rules=ready))
    load = LoadPanel(batches_total=2, batches_done=1, cases_total=20, cases_done=18)
    assert progress.lines(state(*phases, rules=ready, load=load, eta_seconds=3.2)) == [
        "  18 of 20 cases measured (batch 1 of 2), about 3 s left"
    ]
    load = load.model_copy(update={"cases_done": 20, "batches_done": 2})
    assert progress.lines(state(*phases, rules=ready, load=load)) == ["  20 of 20 cases measured (batch 2 of 2)"]


def test_closed_windows_are_shown_and_unverified_windows_stand_out() -> None:
    """The end of each window is visible, and an unverified end cannot be overlooked."""
    progress = Progress()
    running = InjectionRow(service="reviews", fault_name="hf-x", state=InjectionState.RUNNING)
    progress.lines(state(*THREE, injections=[running]))
    off = WindowRow(window_id="fault/7/reviews", kind=WindowKind.FAULT, state=WindowState.CLOSED, service="reviews")
    lines = progress.lines(state(*THREE, injections=[running], windows=[off]))
    assert lines == ["  fault in reviews off, and seen to be off"]
    on = WindowRow(window_id="rules/7", kind=WindowKind.RULES, state=WindowState.UNVERIFIED, detail="still answers")
    lines = progress.lines(state(*THREE, injections=[running], windows=[off, on]))
    assert lines == ["!! rules was NOT seen to be off: still answers"]


def test_leftovers_removed_first_are_shown_before_the_lock() -> None:
    """Somebody else made them: their removal must not go unseen."""
    lock = WindowRow(window_id="environment/e/n", kind=WindowKind.LOCK, state=WindowState.OPEN)
    held = state(Phase.GENERATING_CASES, windows=[lock]).model_copy(update={"namespace": "shop"})
    assert Progress().lines(held)[-1:] == ["  namespace shop is clean and held"]
    removed = lock.model_copy(update={"detail": "removed first: fault hf-x in reviews"})
    assert Progress().lines(held.model_copy(update={"windows": [removed]}))[-2:] == [
        "  removed first: fault hf-x in reviews",
        "  namespace shop is clean and held",
    ]


def test_a_fault_that_ended_with_its_run_shows_no_answer() -> None:
    """It is off, and was seen to be off: there is nothing more to report."""
    progress = Progress()
    row = InjectionRow(service="reviews", fault_name="hf-x", state=InjectionState.RECOVERED)
    off = WindowRow(window_id="fault/7/reviews", kind=WindowKind.FAULT, state=WindowState.CLOSED, service="reviews")
    lines = progress.lines(state(*THREE, injections=[row], windows=[off]))
    assert lines[-2:] == ["  reviews              broken (hf-x)", "  fault in reviews off, and seen to be off"]


def test_waiting_and_pausing_are_shown_each_time() -> None:
    """They may come and go more than once."""
    progress = Progress()
    progress.lines(state(Phase.GENERATING_CASES))
    assert "held by other" in progress.lines(state(Phase.GENERATING_CASES, waiting_for="other"))[0]
    assert progress.lines(state(Phase.GENERATING_CASES, waiting_for="")) == []
    for _ in range(2):
        assert progress.lines(state(Phase.GENERATING_CASES, paused=True)) == ["paused: nothing new begins"]
        assert progress.lines(state(Phase.GENERATING_CASES)) == ["resumed"]


def test_the_end_is_the_last_line() -> None:
    """With the verdict, or the error's code."""
    done = state(*THREE, Phase.DONE, verdict=Verdict.FAILED, status=RunStatus.COMPLETED)
    assert Progress().lines(done)[-1] == "DONE                     verdict failed"
    failed = state(*THREE, Phase.FAILED, error_code=ErrorCode.ANALYZE_TIMEOUT, error_message="too slow")
    assert Progress().lines(failed)[-1] == "FAILED                   ANALYZE_TIMEOUT"


def test_the_recording_of_calls_has_lines_of_its_own() -> None:
    """When it starts, what it has found so far, and when it is off."""
    progress = Progress()
    progress.lines(state(*THREE))
    on = WindowRow(window_id="calls/7", kind=WindowKind.CALLS, state=WindowState.OPEN)
    off = on.model_copy(update={"state": WindowState.CLOSED})
    assert progress.lines(state(*THREE, windows=[on])) == ["  calls between services are recorded from here on"]
    assert progress.lines(state(*THREE, windows=[on], fallback_calls=0)) == []
    assert progress.lines(state(*THREE, windows=[on], fallback_calls=1)) == [
        "  1 fallback call found: made only while something is broken"
    ]
    assert progress.lines(state(*THREE, windows=[off], fallback_calls=1)) == [
        "  recording of calls off, and seen to be off"
    ]


def test_pairs_in_doubt_are_shown_with_their_reason() -> None:
    found = PairFidelity(share=0, measured=9, chosen=2, asked_for=False)
    lines = Progress().lines(state(*THREE, Phase.LOAD_TEST_BASELINE, pairs=found))
    line = "  2 of 9 measured pairs run with two real faults as well, because their results are in doubt"
    assert line in lines
