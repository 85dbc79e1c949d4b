"""Activities that do nothing.

With them, peers and store take no time, and a run shows what it costs Temporal and the workers.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from temporalio import activity

from activities.toolbox import Toolbox
from domain.calls.model import CallsFound
from domain.cases.cases import cases_in
from domain.executions.execution import Ending, Execution, FinalStep, Recovery, RunStatus, Verdict
from domain.executions.windows import (
    Closing,
    LockHolder,
    OpenWindows,
    PreflightReport,
    RunRef,
    ServiceStability,
    StabilityOrder,
    StabilityReport,
)
from domain.faults.model import CapturedFailure, FaultOrder, FaultRunning
from domain.measuring.load import BatchOrder, BatchReport, CaseOutcome, GeneratedCases, RulesOrder, RulesUpserted
from domain.measuring.merging import metrics_of
from domain.measuring.metrics import LoadMetrics
from domain.measuring.steady_report import SteadyReport
from domain.names import record_id
from domain.pairs.model import ChosenPairs
from domain.plans.environments import environment_in
from domain.plans.plan import Plan
from domain.plans.stop import Tripped
from domain.resilience.model import CaseCounts, CaseVerdict, Judgement, NewExecution
from domain.timing import Timing, TimingPreset
from domain.traffic.summary import AnalysisStarted, RecordedService, RecordedServices
from worker import Activities, build_activities

EXECUTION_ID = 2**53 - 1
"""The largest execution id: it makes the longest names."""


class Pretending:
    """Answers every activity of a run of this plan at once.

    All fields of the answers are filled, so payloads have their full size.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.names = plan.service_names
        self.seen = bytearray(len(self.names) * (len(self.names) + 1) // 2 + 1)
        """Number of measurements of each case, by index."""

    def measure_batch(self, order: BatchOrder) -> BatchReport:
        """Compute every case of the batch from its index, and count it."""
        cases = list(cases_in(self.names, order.cases))
        for case in cases:
            self.seen[case.index] += 1
        lines = [
            CaseVerdict(case_id=case.case_id, outcome=CaseOutcome.MEASURED, verdict=None, p50_ms=123.456,
                        p95_ms=1234.567, p99_ms=12345.678, error_rate=12.345, requests=1_000, reason="")
            for case in cases
        ]  # fmt: skip
        return BatchReport(measured=len(cases), metrics=metrics_of(lines))

    def create_execution(self, new: NewExecution) -> Execution:
        """Return the record of a new execution."""
        assert new.plan_json
        return Execution(
            execution_id=EXECUTION_ID, task_id=1, req_def_id=1, record_id=record_id(EXECUTION_ID), plan_sha256="0" * 64,
            environment=environment_in(self.plan), namespace=self.plan.system.namespace, services=self.names,
            timing=Timing.of(TimingPreset.FAST), started_at=datetime.now(UTC),
        )  # fmt: skip

    def await_stability(self, order: StabilityOrder) -> StabilityReport:
        """Report that all services are stable."""
        return StabilityReport(
            services=[
                ServiceStability(service=service, stable=True, waited_seconds=1.234) for service in order.services
            ]
        )

    def replay_and_capture(self, order: FaultOrder) -> CapturedFailure:
        """Report a captured failure."""
        return CapturedFailure(service=order.service, responses=3, status=503)

    def upsert_rules(self, order: RulesOrder) -> RulesUpserted:
        """Report that all rules are active."""
        return RulesUpserted(record_id=record_id(order.execution_id), rules=len(order.services) * 3,
                             services=order.services, ttl_seconds=order.ttl_seconds)  # fmt: skip

    def judge(self, _order: Any) -> Judgement:
        """Report that all cases passed."""
        counts = CaseCounts(total=len(self.seen), measured=len(self.seen), passed=len(self.seen))
        return Judgement(verdict=Verdict.PASSED, cases=counts, failed_cases=[])

    def read_calls(self, _order: Any) -> CallsFound:
        """Report new calls at every service in every round, so that each round asks to break every service again."""
        return CallsFound(new=len(self.names), to_capture=self.names)

    def constant(self, result: type) -> Any:
        """Return the answer of any other activity, by its type."""
        recorded = [RecordedService(service=name, patterns=3, baggage_forwarded=True) for name in self.names]
        pairs = len(self.names) * (len(self.names) - 1) // 2
        answers: dict[type, Any] = {
            GeneratedCases: GeneratedCases(baseline=1, single=len(self.names), dual=pairs, tokens=len(self.names)),
            FaultRunning: FaultRunning(fault_name="hf-1", waited_seconds=1),
            Closing: Closing(verified=True),
            LockHolder: LockHolder(),
            PreflightReport: PreflightReport(),
            OpenWindows: OpenWindows(),
            AnalysisStarted: AnalysisStarted(task_id="task"),
            RecordedServices: RecordedServices(services=recorded),
            SteadyReport: SteadyReport(met=True),
            ChosenPairs: ChosenPairs(measured=pairs),
            BatchReport: BatchReport(metrics=LoadMetrics()),
        }
        return answers.get(result)


def noop_activities(plan: Plan) -> tuple[Activities, Pretending]:
    """Return an activity that does nothing for each activity of the real worker, under the same name."""
    nothing: Any = None
    tools = Toolbox(store=nothing, secrets=nothing, load=nothing, canary=nothing)
    real = build_activities(tools, nothing, Timing())
    pretending = Pretending(plan)
    return Activities(
        control=[_noop(real_activity, pretending) for real_activity in real.control],
        load=[_noop(real_activity, pretending) for real_activity in real.load],
    ), pretending


def _noop(real: Callable[..., Any], pretending: Pretending) -> Callable[..., Any]:
    definition = activity._Definition.must_from_callable(real)
    kinds = typing.get_type_hints(real)
    (taken,) = [kind for name, kind in kinds.items() if name != "return"]
    result = _not_none(kinds["return"])
    answer = getattr(pretending, str(definition.name), None)

    async def noop(order: Any) -> Any:
        if result is Tripped:
            raise AssertionError("the plan watches nothing")
        if result is Ending:
            return _ending(order)
        return answer(order) if answer else pretending.constant(result)

    noop.__annotations__ = {"order": taken, "return": kinds["return"]}
    return activity.defn(name=definition.name)(noop)


def _not_none(kind: Any) -> Any:
    given = [argument for argument in typing.get_args(kind) if argument is not type(None)]
    return given[0] if given and type(None) in typing.get_args(kind) else kind


def _ending(run: RunRef) -> Ending:
    return Ending(
        execution_id=run.execution_id, status=RunStatus.COMPLETED, phase=FinalStep.DONE, recovery=Recovery.VERIFIED
    )
