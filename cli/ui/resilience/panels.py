"""The panels of a resilience test, as lines.

Five of them have the fields of the original's dashboard (`stages` section 3), and a test checks that none is missing.
The sixth is about pairs with two real faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cli.ui.resilience.pairs import fidelity_lines
from domain.cases.lines import TOO_SMALL, percentile_text
from domain.executions.windows import ServiceStability, WindowKind, WindowState
from domain.measuring.steady_report import SteadyReport
from domain.plans.slo import Percentile
from domain.resilience.model import CaseVerdict, Phase
from domain.resilience.state import InjectionRow, LoadPanel, ResilienceState
from reports.text.values import count

_MOST_OVERLAPS = 8
"""Most services named as broken at the same time as another one. `status --json` has them all."""

_RULES_NOT_READY: dict[WindowState | None, str] = {
    WindowState.CLOSING: "being switched off",
    WindowState.CLOSED: "off, and seen to be off",
    WindowState.UNVERIFIED: "NOT seen to be off",
}


_CALLS_RECORDED: dict[WindowState | None, str] = {
    WindowState.OPENING: "being switched on",
    WindowState.OPEN: "on",
    WindowState.CLOSING: "being switched off",
    WindowState.CLOSED: "off, and seen to be off",
    WindowState.UNVERIFIED: "NOT seen to be off",
}


def panels(state: ResilienceState) -> list[tuple[str, list[str]]]:
    """Return each panel with its phase, in order."""
    return [(phase, list(panel(state))) for phase, panel in _STAGES]


def identity(state: ResilienceState) -> Iterator[str]:
    """Yield which run it is."""
    yield f"plan {state.plan}, namespace {state.namespace}, environment {state.environment}"
    ids = {"execution": state.execution_id, "task": state.task_id, "request": state.req_def_id}
    yield ", ".join(f"{name} {_or_none(value)}" for name, value in ids.items())


def steady_lines(state: ResilienceState) -> Iterator[str]:
    """Yield whether the steady state was met."""
    for when, report in (("before", state.steady_before), ("after", state.steady_after)):
        if report is not None:
            yield f"steady state {when} the run: {_steady(report)}"


def _analysis(state: ResilienceState) -> Iterator[str]:
    panel = state.analysis
    yield f"analysis: {panel.state or 'pending'}, {panel.services} services"
    yield f"  analysis {panel.analyze_task_id or 'none yet'}, record {panel.record_id or 'none yet'}"
    if panel.error:
        yield f"  failed: {panel.error}"
    for service in panel.recorded:
        deaf = "" if service.baggage_forwarded or not service.patterns else ", no baggage reaches it"
        yield f"  {service.service:<24} {count(service.patterns, 'recorded request')}{deaf}"
    yield from _stability(panel.stability)


def _cases(state: ResilienceState) -> Iterator[str]:
    panel = state.generated
    if not panel.total:
        yield "cases: not generated yet"
        return
    counts = f"{panel.baseline} baseline, {panel.single} single, {panel.dual} pairs"
    yield f"cases: {panel.total} ({counts}), {panel.baggage_tokens} baggage tokens"
    for service, token in panel.tokens.items():
        yield f"  {service:<24} {token}"
    if panel.baggage_tokens > len(panel.tokens) > 0:
        yield f"  ... and {panel.baggage_tokens - len(panel.tokens)} more"


def _injections(state: ResilienceState) -> Iterator[str]:
    total = len(state.injections)
    completed = state.injections_completed
    running = state.injections_running
    yield f"injections: {completed} of {total} services done, {running} running"
    yield from _calls(state)
    for row in state.injections:
        yield f"  {row.service:<24} {row.state:<9} {_injected(row)}".rstrip()


def _calls(state: ResilienceState) -> Iterator[str]:
    """Yield whether calls are recorded, and how many fallback calls were found."""
    window = next((row.state for row in state.windows if row.kind is WindowKind.CALLS), None)
    if window is None and state.fallback_calls is None:
        return
    recorded = f"calls recorded while services are broken: {_CALLS_RECORDED.get(window, 'done')}"
    found = state.fallback_calls
    if found is None:
        yield f"  {recorded}"
    else:
        yield f"  {recorded}; {count(found, 'fallback call') if found else 'no fallback calls'} found"


def _injected(row: InjectionRow) -> str:
    parts = [
        f"fault {row.fault_name}" if row.fault_name else "",
        "" if row.replay_status is None else f"replay {row.replay_status}",
        "no effect" if row.no_effect else "",
        _overlapped(row.overlapped),
        "" if row.stable is None else "stable again" if row.stable else "NOT stable again",
        row.error,
    ]
    return ", ".join(part for part in parts if part)


def _overlapped(services: list[str]) -> str:
    """Name the services that were broken at the same time."""
    # To judge a captured failure, a reader must know what else was broken.
    more = len(services) - _MOST_OVERLAPS
    named = ", ".join(services[:_MOST_OVERLAPS]) + (f" and {more} more" if more > 0 else "")
    return f"on at once with {named} (no common call path)" if services else ""


def _rules(state: ResilienceState) -> Iterator[str]:
    panel = state.rules
    window = next((row.state for row in state.windows if row.kind is WindowKind.RULES), None)
    readiness = "ready: seen to act" if panel.ready else _RULES_NOT_READY.get(window, "not ready")
    yield f"rules: {panel.rules}, {readiness}, TTL {panel.ttl_seconds} s"
    yield from _stability(panel.stability)


def _load(state: ResilienceState) -> Iterator[str]:
    panel = state.load
    eta = f", about {state.eta_seconds:.0f} s left" if state.eta_seconds else ""
    yield (
        f"load: batch {panel.batches_done} of {panel.batches_total} ({panel.batch_size} cases each), "
        f"{panel.cases_done} of {panel.cases_total} cases done{eta}"
    )
    if panel.cases:
        worst, slowest = _worst(panel)
        mean = "none" if panel.mean_error_rate is None else f"{panel.mean_error_rate:g}%"
        yield f"  worst p95 {worst}, slowest request {slowest}, mean error rate {mean}"
    yield from _outcomes(state)
    failed = {case.case_id: case for case in [*state.failed_cases, *state.inconclusive_cases]}
    for case in panel.cases:
        yield f"  {_case(failed.get(case.case_id, case))}"
    if panel.cases and panel.cases_done > len(panel.cases):
        yield f"  ... and {panel.cases_done - len(panel.cases)} more, which are no worse: the store has every case"


def _worst(panel: LoadPanel) -> tuple[str, str]:
    """Return the worst p95 and the slowest request, each with its case."""
    slowest = "none" if panel.worst_max_ms is None else f"{panel.worst_max_ms:.0f} ms ({panel.worst_max_case})"
    if panel.worst_p95_ms is None:
        return ("none" if panel.worst_max_ms is None else TOO_SMALL), slowest
    return f"{panel.worst_p95_ms:.0f} ms ({panel.worst_p95_case})", slowest


def _pairs(state: ResilienceState) -> Iterator[str]:
    if state.pairs is not None:
        yield from fidelity_lines(state.pairs)


_STAGES: tuple[tuple[Phase, Callable[[ResilienceState], Iterator[str]]], ...] = (
    (Phase.ANALYZING_PATTERNS, _analysis),
    (Phase.ANALYZING_PATTERNS, _cases),
    (Phase.INJECTING_AND_REPLAYING, _injections),
    (Phase.RULES_READY, _rules),
    (Phase.LOAD_TEST_BASELINE, _load),
    (Phase.LOAD_TEST_BASELINE, _pairs),
)


def _outcomes(state: ResilienceState) -> Iterator[str]:
    """Yield what became of the cases, once they are judged."""
    counts = state.cases
    if state.verdict is None:
        return
    excluded = f", {counts.excluded} of them excluded by the plan" if counts.excluded else ""
    excluded += f", {counts.dispensable} of them not required by the plan" if counts.dispensable else ""
    unmeasured = f"{counts.invalid} invalid, {counts.skipped} skipped{excluded}"
    inconclusive = f"{counts.inconclusive} inconclusive, " if counts.inconclusive else ""
    yield f"  {counts.passed} passed, {counts.failed} failed, {inconclusive}{unmeasured}"
    if counts.failed > len(state.failed_cases):
        yield f"  of the failed cases, the worst are shown with their reasons: {len(state.failed_cases)}"


def _case(case: CaseVerdict) -> str:
    if case.error_rate is None:
        return f"{case.case_id:<48} {case.outcome}: {case.reason}"
    p50, p95, p99 = (percentile_text(case, percentile) or "none" for percentile in Percentile)
    outcome = f"  {case.outcome if case.verdict is None else case.verdict}: {case.reason}" if case.reason else ""
    latency = f"p50 {p50}, p95 {p95}, p99 {p99}, max {_ms(case.max_ms)}"
    return f"{case.case_id:<48} errors {case.error_rate:g}%, {latency}{outcome}"


def _stability(rows: list[ServiceStability]) -> Iterator[str]:
    for row in rows:
        found = "stable" if row.stable else f"NOT stable ({row.detail})"
        yield f"  {row.service:<24} {found} after {row.waited_seconds:.1f} s"


def _steady(report: SteadyReport) -> str:
    return "met" if report.met else f"NOT met: {report.detail}"


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{value:.0f} ms"


def _or_none(value: int | None) -> str:
    return "none yet" if value is None else str(value)
