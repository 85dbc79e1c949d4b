"""The services of a report: their faults, and what failures look like.

Each failing answer is shown beside the healthy one.
"""

from __future__ import annotations

from domain.executions.windows import SETTLED, WindowKind
from domain.faults.chaosblade.expansion import expand
from domain.faults.model import ContainerFault, DelayFault, ExperimentFault, FaultSpec
from domain.resilience.state import InjectionRow, ResilienceState
from domain.traffic.exchange import CapturedAnswer, RecordedExchange
from domain.units import format_duration
from reports.build.cases import cut
from reports.build.reading import StoredRun
from reports.model.report import CapturedReport, ServiceReport

MOST_ANSWERS = 5
"""Captured answers shown of one service."""

LONGEST_BODY = 600
"""Characters of a body, failing or healthy."""


def service_reports(run: StoredRun, state: ResilienceState) -> list[ServiceReport]:
    """Report each service under test, by name."""
    rows = {row.service: row for row in state.injections}
    return [_report(run, rows[name], position) for position, name in enumerate(run.plan.service_names)]


def _report(run: StoredRun, row: InjectionRow, position: int) -> ServiceReport:
    name = row.service
    spec = run.plan.service(row.service)
    fault = expand(spec.fault, name, run.plan.system.namespace)
    experiment = fault.experiment
    matchers = {key: ", ".join(values) for key, values in experiment.matchers.items()}
    captured = run.captured.get(name, [])
    return ServiceReport(
        service=name,
        fault=fault_in_words(spec.fault),
        fault_type=fault.type,
        fault_name=row.fault_name,
        experiment={"scope": experiment.scope, "target": experiment.target, "action": experiment.action} | matchers,
        state=row.state,
        error=row.error,
        recorded_requests=run.analyzed.get(name),
        baggage_forwarded=run.propagation.get(name) if run.analyzed.get(name) else None,
        token=run.tokens.get(name, ""),
        overlapped=row.overlapped,
        broken_seconds=_broken_seconds(run, name),
        case_index=position + 1 if run.total else None,
        captured=[_answer(answer, run.exchanges.get(name, [])) for answer in captured[:MOST_ANSWERS]],
        captured_left_out=max(0, len(captured) - MOST_ANSWERS),
    )


def fault_in_words(fault: FaultSpec) -> str:
    """Describe a fault in the words of a plan."""
    match fault:
        case DelayFault():
            return f"delay {format_duration(fault.delay)}"
        case ContainerFault():
            form = "remove" if fault.remove is not None else "error"
            target = fault.remove or fault.error
            return f"{form} ({', '.join(target.containers)})" if target else form
        case ExperimentFault():
            experiment = fault.experiment
            return f"{experiment.scope} {experiment.target} {experiment.action}"
        case _:
            return fault


def _broken_seconds(run: StoredRun, service: str) -> float | None:
    """Sum the seconds during which the service's own faults were active.

    None unless every fault window is closed. A service has several if failures elsewhere make it receive new calls,
    because it is then broken again.
    """
    windows = [entry for entry in run.ledger if entry.kind is WindowKind.FAULT and entry.service == service]
    spans = [
        (window.updated_at - window.created_at).total_seconds()
        for window in windows
        if window.state in SETTLED and window.created_at is not None and window.updated_at is not None
    ]
    return round(sum(spans), 3) if windows and len(spans) == len(windows) else None


def _answer(answer: CapturedAnswer, recorded: list[RecordedExchange]) -> CapturedReport:
    healthy = next(
        (exchange for exchange in recorded if (exchange.method, exchange.url) == (answer.method, answer.url)), None
    )
    kinds = (value for name, value in answer.headers.items() if name.lower() == "content-type")
    return CapturedReport(
        method=answer.method,
        path=answer.path,
        status=answer.status,
        content_type=next(kinds, ""),
        body=cut(answer.body, LONGEST_BODY),
        substituted=answer.substituted,
        no_effect=answer.no_effect,
        error_message=answer.error_message,
        # A recorded status of 0 means that only the broken service answered, so there is no healthy answer.
        healthy_status=(healthy.response_status or None) if healthy else None,
        healthy_body=cut(healthy.response_body, LONGEST_BODY) if healthy else "",
    )
