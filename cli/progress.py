"""A run's progress as plain lines: each says what has changed since the last look.

A look comes every half second and much may have happened in between, so what is told is a list of facts in the order in
which a run makes them, each under its phase and each told once.
"""

from __future__ import annotations

from collections.abc import Iterator

from reports.words import count
from workflows.contracts.execution import Phase
from workflows.contracts.faults import InjectionState
from workflows.contracts.status import InjectionRow, RunState, WindowRow
from workflows.contracts.windows import WindowKind, WindowState

Fact = tuple[str, str]
"""What makes it the same fact again, and its line."""

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
_ENDS = {Phase.DONE, Phase.FAILED, Phase.CANCELLED}

_WINDOW_NAMES = {
    WindowKind.RECORDING: "recording",
    WindowKind.CALLS: "recording of calls",
    WindowKind.FAULT: "fault in",
    WindowKind.RULES: "rules",
    WindowKind.PAIR_FAULT: "pair's fault in",
}


class Progress:
    """Remembers what was told."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._waiting = ""
        self._paused = False

    def lines(self, state: RunState) -> list[str]:
        """What is new, oldest first."""
        found = [line for key, line in _facts(state) if key not in self._told]
        self._told.update(key for key, _ in _facts(state))
        return found + list(self._switched(state))

    def _switched(self, state: RunState) -> Iterator[str]:
        """What may come and go more than once."""
        if state.waiting_for and state.waiting_for != self._waiting:
            yield f"waiting: the namespace is held by {state.waiting_for}"
        if state.paused != self._paused:
            yield "paused: nothing new begins" if state.paused else "resumed"
        self._waiting, self._paused = state.waiting_for, state.paused


def _facts(state: RunState) -> Iterator[Fact]:
    """Everything that a state tells, in the order in which it came to be."""
    if state.execution_id:
        yield "execution", f"execution {state.execution_id} of plan {state.plan}"
    entered = {one.phase for one in state.phases}
    for phase, inside in _STAGES.items():
        if phase in entered:
            yield phase, f"{phase:<24} {_EXPLAINED[phase]}"
        yield from inside(state)
    for phase in entered & _ENDS:
        yield phase, f"{phase:<24} {_end(state)}"


def _end(state: RunState) -> str:
    if state.error_code:
        return state.error_code
    return f"verdict {state.verdict}" if state.verdict else _EXPLAINED[state.phase]


def _locking(state: RunState) -> Iterator[Fact]:
    for row in state.windows:
        if row.kind is WindowKind.LOCK and row.state is WindowState.OPEN:
            if row.detail:
                yield "cleaned", f"  {row.detail}"
            yield "lock", f"  namespace {state.namespace} is clean and held"
    if state.steady_before and state.steady_before.met:
        yield "steady before", "  steady state met: the request answers as it should"


def _analysis(state: RunState) -> Iterator[Fact]:
    if state.analysis.recorded:
        recorded = ", ".join(f"{one.service} {one.patterns}" for one in state.analysis.recorded)
        yield "recorded", f"  recorded requests: {recorded}"
    deaf = [one.service for one in state.analysis.recorded if one.patterns and not one.baggage_forwarded]
    if deaf:
        yield "deaf", f"  no baggage reaches {', '.join(deaf)}: their cases cannot be measured"
    yield from _closings(state, WindowKind.RECORDING)
    if state.cases.total:
        counts = state.cases
        yield "cases", f"  {counts.total} cases: 1 baseline, {counts.single} single, {counts.dual} pairs"


def _injections(state: RunState) -> Iterator[Fact]:
    if any(row.kind is WindowKind.CALLS and row.state is WindowState.OPEN for row in state.windows):
        yield "calls", "  calls between services are recorded from here on"
    for row in state.injections:
        if row.state is not InjectionState.PENDING:
            if row.fault_name:
                yield f"broken {row.service}", f"  {row.service:<20} broken ({row.fault_name})"
            if row.state is InjectionState.FAILED or row.replay_status is not None:
                yield f"captured {row.service}", f"  {row.service:<20} {_captured(row)}"
    yield from _closings(state, WindowKind.FAULT)
    found = state.fallback_calls
    if found:
        yield f"fallback calls {found}", f"  {count(found, 'fallback call')} found: made only while something is broken"
    yield from _closings(state, WindowKind.CALLS)


def _captured(row: InjectionRow) -> str:
    if row.state is InjectionState.FAILED:
        return f"failed: {row.error}"
    effect = ", which is how it answers when healthy: no effect" if row.no_effect else ""
    unstable = "" if row.stable is not False else ", not stable yet"
    return f"answered {row.replay_status}{effect}; recovered{unstable}"


def _rules(state: RunState) -> Iterator[Fact]:
    if state.rules.ready:
        rules = state.rules
        yield "rules", f"  {rules.rules} rules ready: seen to act (the proxy drops them after {rules.ttl_seconds} s)"


def _load(state: RunState) -> Iterator[Fact]:
    load = state.load
    if load.cases_done:
        eta = f", about {state.eta_seconds:.0f} s left" if state.eta_seconds else ""
        batches = f"batch {load.batches_done} of {load.batches_total}"
        yield f"load {load.cases_done}", f"  {load.cases_done} of {load.cases_total} cases measured ({batches}){eta}"
    yield from _closings(state, WindowKind.RULES)
    yield from _pairs(state)
    if state.steady_after:
        met, why = state.steady_after.met, state.steady_after.detail
        yield "steady after", "  steady state met again" if met else f"!! steady state NOT met again: {why}"


def _pairs(state: RunState) -> Iterator[Fact]:
    found = state.pairs
    if found is None:
        return
    why = "" if found.asked_for else ", because their results are in doubt"
    begun = f"  {found.chosen} of {found.measured} measured pairs run with two real faults as well{why}"
    yield "pairs", begun
    done = found.compared + found.unchecked
    if done:
        yield f"pairs {done}", f"  {done} of {found.chosen} pairs: {found.agreed} agree with the rules"
    yield from _closings(state, WindowKind.PAIR_FAULT)


_STAGES = {
    Phase.GENERATING_CASES: _locking,
    Phase.ANALYZING_PATTERNS: _analysis,
    Phase.INJECTING_AND_REPLAYING: _injections,
    Phase.RULES_READY: _rules,
    Phase.LOAD_TEST_BASELINE: _load,
}


def _closings(state: RunState, kind: WindowKind) -> Iterator[Fact]:
    """Windows that are off. A fault's is part of its own line, unless the run was stopped before there was one."""
    captured = {row.service for row in state.injections if row.state is InjectionState.RECOVERED and row.replay_status}
    for row in state.windows:
        if row.kind is not kind:
            continue
        if row.state is WindowState.UNVERIFIED:
            yield f"unverified {row.window_id}", f"!! {_named(row)} was NOT seen to be off: {row.detail}"
        elif row.state is WindowState.CLOSED and row.service not in captured:
            yield f"closed {row.window_id}", f"  {_named(row)} off, and seen to be off"


def _named(row: WindowRow) -> str:
    return f"{_WINDOW_NAMES.get(row.kind, row.window_id)} {row.service}".strip()
