"""The services of a report: what was done to each, and what its failure looks like beside its healthy answer."""

from __future__ import annotations

from reports.case_reports import cut
from reports.model import CapturedReport, ServiceReport
from reports.reading import StoredRun
from workflows.contracts.exchange import CapturedAnswer, RecordedExchange
from workflows.contracts.faults import ContainerFault, DelayFault, ExperimentFault, FaultSpec
from workflows.contracts.status import InjectionRow, RunState
from workflows.contracts.units import format_duration
from workflows.contracts.windows import SETTLED, WindowKind
from workflows.logic.faults import expand

MOST_ANSWERS = 5
"""Captured answers of one service."""

LONGEST_BODY = 600
"""Characters of a body, failing or healthy."""


def service_reports(run: StoredRun, state: RunState) -> list[ServiceReport]:
    """Each service under test, by name."""
    rows = {one.service: one for one in state.injections}
    return [_report(run, rows[name], position) for position, name in enumerate(run.plan.service_names)]


def _report(run: StoredRun, row: InjectionRow, position: int) -> ServiceReport:
    name, spec = row.service, run.plan.service(row.service)
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
        captured=[_answer(one, run.exchanges.get(name, [])) for one in captured[:MOST_ANSWERS]],
        captured_left_out=max(0, len(captured) - MOST_ANSWERS),
    )


def fault_in_words(fault: FaultSpec) -> str:
    """A fault as one would say it."""
    match fault:
        case DelayFault():
            return f"delay {format_duration(fault.delay)}"
        case ContainerFault():
            form = "remove" if fault.remove is not None else "error"
            target = fault.remove or fault.error
            return f"{form} ({', '.join(target.containers)})" if target else form
        case ExperimentFault():
            one = fault.experiment
            return f"{one.scope} {one.target} {one.action}"
        case _:
            return fault


def _broken_seconds(run: StoredRun, service: str) -> float | None:
    """Of all of its own faults: it is broken once more where other failures make it receive new calls."""
    windows = [one for one in run.ledger if one.kind is WindowKind.FAULT and one.service == service]
    spans = [
        (one.updated_at - one.created_at).total_seconds()
        for one in windows
        if one.state in SETTLED and one.created_at is not None and one.updated_at is not None
    ]
    return round(sum(spans), 3) if windows and len(spans) == len(windows) else None


def _answer(answer: CapturedAnswer, recorded: list[RecordedExchange]) -> CapturedReport:
    healthy = next((one for one in recorded if (one.method, one.url) == (answer.method, answer.url)), None)
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
        # 0: what was recorded was the answer of the broken service.
        healthy_status=(healthy.response_status or None) if healthy else None,
        healthy_body=cut(healthy.response_body, LONGEST_BODY) if healthy else "",
    )
