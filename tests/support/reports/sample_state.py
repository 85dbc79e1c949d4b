"""The made-up state of a run."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.executions.state import WindowRow
from domain.executions.windows import ServiceStability
from domain.faults.model import InjectionState
from domain.measuring.load import CaseType
from domain.measuring.steady_report import SteadyReport
from domain.resilience.model import CaseCounts, Phase
from domain.resilience.state import (
    AnalysisPanel,
    CasesPanel,
    InjectionRow,
    LoadPanel,
    PhaseTime,
    ResilienceState,
    RulesPanel,
)
from domain.traffic.summary import RecordedService
from reports.model.report import (
    CaseReport,
    CaseState,
    WindowSpan,
)

BEGAN = datetime(2026, 11, 21, 20, 15, 3, tzinfo=UTC)


def sample_state(
    names: list[str], deaf: set[str], cases: list[CaseReport], windows: list[WindowSpan], *, aborted: bool
) -> ResilienceState:
    """Return the state of a run with these cases. No baggage reaches the deaf services."""
    counts = Counter(case.state for case in cases)
    types = Counter(case.case_type for case in cases)
    measured = [case for case in cases if case.error_rate is not None]
    tokens = {name: f"chaos.{name}.remove=1" for name in names[:50]}
    return ResilienceState(
        execution_id=3772221118529536,
        plan="shop",
        task_id=7001,
        req_def_id=7002,
        environment="127.0.0.1:8102",
        namespace="shop",
        status=RunStatus.FAILED if aborted else RunStatus.COMPLETED,
        phase=Phase.FAILED if aborted else Phase.DONE,
        verdict=None if aborted else Verdict.FAILED,
        recovery=Recovery.VERIFIED,
        started_at=BEGAN,
        updated_at=BEGAN + timedelta(seconds=90),
        finished_at=BEGAN + timedelta(seconds=91),
        error_code=ErrorCode.ABORTED if aborted else None,
        error_message="too many users complained" if aborted else "",
        phases=[PhaseTime(phase=Phase.GENERATING_CASES, started_at=BEGAN)],
        analysis=AnalysisPanel(
            services=len(names),
            state="completed",
            analyze_task_id="analyze-51",
            record_id="hfabc123x",
            recorded=[RecordedService(service=name, patterns=2, baggage_forwarded=name not in deaf) for name in names],
            stability=[ServiceStability(service=names[0], stable=True, waited_seconds=0.4)],
        ),
        generated=CasesPanel(
            total=len(cases),
            baseline=1,
            single=types[CaseType.SINGLE],
            dual=types[CaseType.DUAL],
            baggage_tokens=len(names),
            tokens=tokens,
        ),
        cases=CaseCounts(
            total=len(cases),
            measured=len(measured),
            passed=counts[CaseState.PASSED],
            failed=counts[CaseState.FAILED],
            inconclusive=counts[CaseState.INCONCLUSIVE],
        ),
        injections=[
            InjectionRow(
                service=name,
                fault_name=f"hf-abc123-{name}-0f0f0f0f-1",
                state=InjectionState.RECOVERED,
                replay_status=503,
                stable=True,
            )
            for name in names
        ],
        injections_completed=len(names),
        rules=RulesPanel(rules=2 * len(names), ready=False, ttl_seconds=600),
        load=LoadPanel(
            batches_total=-(-len(cases) // 18),
            batches_done=len(measured) // 18,
            batch_size=18,
            cases_total=len(cases),
            cases_done=len(measured),
            worst_p95_ms=72.4,
            worst_p95_case="cart+payment",
            worst_max_ms=123,
            worst_max_case="cart+payment",
            mean_error_rate=8.25,
        ),
        steady_before=SteadyReport(met=True),
        steady_after=SteadyReport(met=True),
        windows=[WindowRow(window_id=window.window_id, kind=window.kind, state=window.state) for window in windows],
    )
