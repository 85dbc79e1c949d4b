"""The facts that the state of a resilience test shows, in the order in which a run creates them."""

from __future__ import annotations

from collections.abc import Iterator

from cli.ui.facts import Fact
from cli.ui.window_names import window_label
from clients.store.read_models import LogLevel
from domain.executions.windows import WindowKind, WindowState
from domain.faults.model import InjectionState
from domain.resilience.model import Phase
from domain.resilience.state import InjectionRow, ResilienceState
from reports.text.values import count

_EXPLAINED = {
    Phase.GENERATING_CASES: "creating the record, locking the namespace",
    Phase.ANALYZING_PATTERNS: "recording the requests that one request causes",
    Phase.INJECTING_AND_REPLAYING: "breaking one service at a time, capturing how it fails",
    Phase.RULES_READY: "teaching the proxy to answer with the captured failures",
    Phase.LOAD_TEST_BASELINE: "measuring every case",
    Phase.DONE: "done",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}
_ENDS = {Phase.DONE, Phase.FAILED, Phase.CANCELLED}


def resilience_facts(state: ResilienceState) -> Iterator[Fact]:
    """Yield every fact of a state, in the order of their creation."""
    if state.execution_id:
        yield Fact("execution", f"execution {state.execution_id} of plan {state.plan}")
    entered = {phase_time.phase for phase_time in state.phases}
    for phase, stage_facts in _STAGES.items():
        if phase in entered:
            yield Fact(phase, f"{phase:<24} {_EXPLAINED[phase]}")
        yield from stage_facts(state)
    for phase in entered & _ENDS:
        yield Fact(phase, f"{phase:<24} {_end(state)}")


def _end(state: ResilienceState) -> str:
    if state.error_code:
        return state.error_code
    return f"verdict {state.verdict}" if state.verdict else _EXPLAINED[state.phase]


def _locking(state: ResilienceState) -> Iterator[Fact]:
    for row in state.windows:
        if row.kind is WindowKind.LOCK and row.state is WindowState.OPEN:
            if row.detail:
                yield Fact("cleaned", f"  {row.detail}")
            yield Fact("lock", f"  namespace {state.namespace} is clean and held")
    if state.steady_before and state.steady_before.met:
        yield Fact("steady before", "  steady state met: the request answers as it should")


def _analysis(state: ResilienceState) -> Iterator[Fact]:
    if state.analysis.recorded:
        recorded = ", ".join(f"{service.service} {service.patterns}" for service in state.analysis.recorded)
        yield Fact("recorded", f"  recorded requests: {recorded}")
    deaf = [
        service.service for service in state.analysis.recorded if service.patterns and not service.baggage_forwarded
    ]
    if deaf:
        yield Fact("deaf", f"  no baggage reaches {', '.join(deaf)}: their cases cannot be measured", LogLevel.WARN)
    yield from _closings(state, WindowKind.RECORDING)
    if state.cases.total:
        counts = state.cases
        yield Fact("cases", f"  {counts.total} cases: 1 baseline, {counts.single} single, {counts.dual} pairs")


def _injections(state: ResilienceState) -> Iterator[Fact]:
    if any(row.kind is WindowKind.CALLS and row.state is WindowState.OPEN for row in state.windows):
        yield Fact("calls", "  calls between services are recorded from here on")
    for row in state.injections:
        if row.state is not InjectionState.PENDING:
            if row.fault_name:
                yield Fact(f"broken {row.service}", f"  {row.service:<20} broken ({row.fault_name})")
            if row.state is InjectionState.FAILED or row.replay_status is not None:
                yield Fact(f"captured {row.service}", f"  {row.service:<20} {_captured(row)}", _level(row))
    yield from _closings(state, WindowKind.FAULT)
    found = state.fallback_calls
    if found:
        yield Fact(
            f"fallback calls {found}", f"  {count(found, 'fallback call')} found: made only while something is broken"
        )
    yield from _closings(state, WindowKind.CALLS)


def _captured(row: InjectionRow) -> str:
    if row.state is InjectionState.FAILED:
        return f"failed: {row.error}"
    effect = ", which is how it answers when healthy: no effect" if row.no_effect else ""
    unstable = ", not stable yet" if row.stable is False else ""
    return f"answered {row.replay_status}{effect}; recovered{unstable}"


def _level(row: InjectionRow) -> LogLevel:
    failed = row.state is InjectionState.FAILED or row.no_effect or row.stable is False
    return LogLevel.WARN if failed else LogLevel.INFO


def _rules(state: ResilienceState) -> Iterator[Fact]:
    if state.rules.ready:
        rules = state.rules
        yield Fact(
            "rules", f"  {rules.rules} rules ready: seen to act (the proxy drops them after {rules.ttl_seconds} s)"
        )


def _load(state: ResilienceState) -> Iterator[Fact]:
    load = state.load
    if load.cases_done:
        eta = f", about {state.eta_seconds:.0f} s left" if state.eta_seconds else ""
        batches = f"batch {load.batches_done} of {load.batches_total}"
        yield Fact(
            f"load {load.cases_done}", f"  {load.cases_done} of {load.cases_total} cases measured ({batches}){eta}"
        )
    yield from _closings(state, WindowKind.RULES)
    yield from _pairs(state)
    if state.steady_after:
        met = state.steady_after.met
        why = state.steady_after.detail
        if met:
            yield Fact("steady after", "  steady state met again")
        else:
            yield Fact("steady after", f"!! steady state NOT met again: {why}", LogLevel.ERROR)


def _pairs(state: ResilienceState) -> Iterator[Fact]:
    pairs = state.pairs
    if pairs is None:
        return
    reason = "" if pairs.asked_for else ", because their results are in doubt"
    begun = f"  {pairs.chosen} of {pairs.measured} measured pairs run with two real faults as well{reason}"
    yield Fact("pairs", begun)
    done = pairs.compared + pairs.unchecked
    if done:
        yield Fact(f"pairs {done}", f"  {done} of {pairs.chosen} pairs: {pairs.agreed} agree with the rules")
    yield from _closings(state, WindowKind.PAIR_FAULT)


_STAGES = {
    Phase.GENERATING_CASES: _locking,
    Phase.ANALYZING_PATTERNS: _analysis,
    Phase.INJECTING_AND_REPLAYING: _injections,
    Phase.RULES_READY: _rules,
    Phase.LOAD_TEST_BASELINE: _load,
}


def _closings(state: ResilienceState, kind: WindowKind) -> Iterator[Fact]:
    """Yield the windows of a kind that have ended, verified or not."""
    # A closed fault is part of its service's own line, unless the run was stopped before there was one.
    captured = {row.service for row in state.injections if row.state is InjectionState.RECOVERED and row.replay_status}
    for row in state.windows:
        if row.kind is not kind:
            continue
        if row.state is WindowState.UNVERIFIED:
            yield Fact(
                f"unverified {row.window_id}",
                f"!! {window_label(row)} was NOT seen to be off: {row.detail}",
                LogLevel.ERROR,
            )
        elif row.state is WindowState.CLOSED and row.service not in captured:
            yield Fact(f"closed {row.window_id}", f"  {window_label(row)} off, and seen to be off")
