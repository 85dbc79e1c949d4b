"""A report without the store, of what a run's result tells: for pipelines that reach Temporal and nothing else.

The cases that failed or are inconclusive are in it, at most fifty of each; how the others fared is only counted.
"""

from __future__ import annotations

from datetime import UTC, datetime

from reports.coverages import counted_coverage
from reports.gather import environment_of, own_version, title_of
from reports.model import CaseReport, CaseState, FallbackReport, PairCell, Report, ServiceReport, Timeline
from reports.plan_texts import plan_yaml
from reports.sentences import recovery_sentence, verdict_sentence
from reports.service_reports import fault_in_words
from workflows.contracts.execution import CaseVerdict, Verdict
from workflows.contracts.load import CaseOutcome
from workflows.contracts.plan import Plan
from workflows.contracts.slo import Percentile
from workflows.contracts.status import RunState
from workflows.logic.cases import case_at, case_count


def report_of(plan: Plan, state: RunState, workflow_id: str, workflow_run_id: str) -> Report:
    """The report of a run of which only the state is known, with its failed and inconclusive cases."""
    places = _places(plan) if state.failed_cases or state.inconclusive_cases else {}
    cases = [_case(one, plan, places[one.case_id]) for one in [*state.failed_cases, *state.inconclusive_cases]]
    cases.sort(key=lambda one: one.index)
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
                first=one.services[0],
                second=one.services[1],
                case_index=one.index,
                state=one.state,
                error_rate=one.error_rate,
            )
            for one in cases
            if len(one.services) == 2
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
        environment=environment_of(plan, workflow_id=workflow_id, workflow_run_id=workflow_run_id),
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
        unsupported=[Percentile(one) for one in line.unsupported],
    ).model_copy(update=facts)
