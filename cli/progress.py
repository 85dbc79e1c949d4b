"""A run's progress as plain lines: each says what has changed since the last look."""

from __future__ import annotations

from collections.abc import Iterator

from workflows.contracts.execution import Phase
from workflows.contracts.faults import InjectionState
from workflows.contracts.status import InjectionRow, RunState
from workflows.contracts.windows import WindowState

_EXPLAINED = {
    Phase.GENERATING_CASES: "creating the record, locking the namespace",
    Phase.ANALYZING_PATTERNS: "recording what one request makes the services say",
    Phase.INJECTING_AND_REPLAYING: "breaking one service at a time, capturing how it fails",
    Phase.RULES_READY: "teaching the proxy to answer with the captured failures",
    Phase.LOAD_TEST_BASELINE: "measuring every case",
    Phase.DONE: "done",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}


class Progress:
    """Remembers the last state that was shown."""

    def __init__(self) -> None:
        self._last = RunState()

    def lines(self, state: RunState) -> list[str]:
        """What is new, oldest first. Phases that came and went between two looks are told as well."""
        found = list(self._changes(state))
        self._last = state
        return found

    def _changes(self, state: RunState) -> Iterator[str]:
        last = self._last
        if state.execution_id and not last.execution_id:
            yield f"execution {state.execution_id}"
        if state.waiting_for and state.waiting_for != last.waiting_for:
            yield f"namespace {state.namespace} is held by {state.waiting_for}: waiting"
        for entered in state.phases[len(last.phases) :]:
            yield f"{entered.phase:<24} {_EXPLAINED[entered.phase]}"
            yield from self._inside(entered.phase, state)
        if len(state.phases) == len(last.phases):
            yield from self._inside(state.phase, state)
        yield from self._windows(state)
        if state.paused != last.paused:
            yield "paused: nothing new begins" if state.paused else "resumed"

    def _inside(self, phase: Phase, state: RunState) -> Iterator[str]:
        last = self._last
        if state.analysis.recorded and not last.analysis.recorded and phase is not Phase.GENERATING_CASES:
            recorded = ", ".join(f"{one.service} {one.patterns}" for one in state.analysis.recorded)
            yield f"  recorded requests: {recorded}"
            self._last = last = last.model_copy(update={"analysis": state.analysis})
        if state.cases.total and not last.cases.total:
            yield f"  {state.cases.total} cases: 1 baseline, {state.cases.single} single, {state.cases.dual} pairs"
            self._last = last = last.model_copy(update={"cases": state.cases})
        if phase is not Phase.ANALYZING_PATTERNS:
            yield from self._injections(state)
        if phase is Phase.LOAD_TEST_BASELINE and state.load.cases_done != last.load.cases_done:
            eta = f", about {state.eta_seconds:.0f} s left" if state.eta_seconds else ""
            yield f"  {state.load.cases_done} of {state.load.cases_total} cases measured{eta}"

    def _injections(self, state: RunState) -> Iterator[str]:
        before = {row.service: row for row in self._last.injections}
        changed = [row for row in state.injections if row.state != _state(before.get(row.service))]
        for row in changed:
            yield _injection(row)
        self._last = self._last.model_copy(update={"injections": state.injections})

    def _windows(self, state: RunState) -> Iterator[str]:
        before = {row.window_id: row.state for row in self._last.windows}
        for row in state.windows:
            if row.state is WindowState.UNVERIFIED and before.get(row.window_id) is not WindowState.UNVERIFIED:
                yield f"!! {row.window_id} was NOT seen to be off: {row.detail}"


def _state(row: InjectionRow | None) -> InjectionState:
    return row.state if row else InjectionState.PENDING


def _injection(row: InjectionRow) -> str:
    if row.state is InjectionState.FAILED:
        return f"  {row.service:<20} failed: {row.error}"
    if row.state is InjectionState.RUNNING:
        return f"  {row.service:<20} broken ({row.fault_name})"
    effect = ", which is how it answers when healthy: no effect" if row.no_effect else ""
    return f"  {row.service:<20} answered {row.replay_status}{effect}; recovered"
