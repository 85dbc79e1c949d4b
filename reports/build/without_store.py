"""A report from a run's result alone, without the store.

It serves pipelines that reach only Temporal. It lists the cases that failed or are inconclusive, at most fifty of each.
All other cases are only counted.
"""

from __future__ import annotations

from datetime import UTC, datetime

from domain.cases.cases import case_at, case_count
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome
from domain.plans.plan import Plan
from domain.plans.slo import Percentile
from domain.resilience.model import CaseVerdict
from domain.resilience.state import ResilienceState
from reports.build.coverage import counted_coverage
from reports.build.gather import environment_report, own_version, title_of
from reports.build.plan_texts import plan_yaml
from reports.build.services import fault_in_words
from reports.model.report import CaseReport, CaseState, FallbackReport, PairCell, Report, ServiceReport, Timeline
from reports.text.sentences import recovery_sentence, verdict_sentence


def report_of(plan: Plan, state: ResilienceState, workflow_id: str, workflow_run_id: str) -> Report:
    """Build the report of a run from its state alone."""
    places = _places(plan) if state.failed_cases or state.inconclusive_cases else {}
    cases = [_case(line, plan, places[line.case_id]) for line in [*state.failed_cases, *state.inconclusive_cases]]
    cases.sort(key=lambda case: case.index)
    now = datetime.now(UTC)
    began = state.started_at or now
    return Report(
        holdfast_version=own_version(),
        written_at=now,
        title=title_of(plan.name, began),
        verdict_sentence=verdict_sentence(state),
        recovery_sentence=recovery_sentence(state),
        run=state,
        services=[
            ServiceReport(service=name, fault=fault_in_words(plan.service(name).fault)) for name in plan.service_names
        ],
        cases=cases,
        cases_left_out=max(0, state.cases.total - len(cases)),
        pairs=[
            PairCell(
                first=case.services[0],
                second=case.services[1],
                case_index=case.index,
                state=case.state,
                error_rate=case.error_rate,
            )
            for case in cases
            if len(case.services) == 2
        ],
        fallback=None
        if state.fallback_calls is None
        else FallbackReport(found=state.fallback_calls, calls_left_out=state.fallback_calls),
        timeline=Timeline(
            started_at=began,
            finished_at=state.finished_at,
            seconds=(state.finished_at - began).total_seconds() if state.finished_at else None,
        ),
        coverage=counted_coverage(plan, state.cases),
        environment=environment_report(plan, workflow_id=workflow_id, workflow_run_id=workflow_run_id),
        plan_yaml=plan_yaml(plan),
    )


def _places(plan: Plan) -> dict[str, int]:
    names = plan.service_names
    return {case_at(names, index).case_id: index for index in range(case_count(len(names)))}


def _case(line: CaseVerdict, plan: Plan, index: int) -> CaseReport:
    case = case_at(plan.service_names, index)
    facts = line.model_dump(
        include={"p50_ms", "p95_ms", "p99_ms", "max_ms", "error_rate", "requests", "successes", "per_second", "reason"}
    )
    return CaseReport(
        index=index,
        case_id=case.case_id,
        case_type=case.case_type,
        services=case.services,
        state=CaseState.FAILED if line.verdict is Verdict.FAILED else CaseState.INCONCLUSIVE,
        outcome=CaseOutcome(line.outcome),
        unsupported=[Percentile(name) for name in line.unsupported],
    ).model_copy(update=facts)
