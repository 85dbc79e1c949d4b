"""`ResilienceTest`: one run of a plan, as a list of stages.

Windows (`workflows/windows/`) hold what is switched on. They are child workflows that close themselves however this
workflow ends. `_stages()` lists what a run does. `run()` handles every way to end: completion, cancel, abort, error.

What stages share is inherited. `ExecutionWorkflow`: pause, abort and end, the same for every kind of execution.
`ResilienceRun`: state, inputs of windows, steady state. `VerifyingRun`: `_verify_pairs`. `DiscoveringRun`:
`_break_and_discover`.
"""

from __future__ import annotations

from typing import Any

from temporalio import workflow

from domain.cases import unmeasurable
from domain.cases.cases import case_count
from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus
from domain.executions.windows import LockInput, RulesWindowInput
from domain.faults.model import FaultReport
from domain.measuring.load import ExclusionOrder
from domain.measuring.metrics import JudgedCases
from domain.measuring.steady_report import SteadyMoment
from domain.names import (
    WorkflowType,
    recording_workflow_id,
    rules_workflow_id,
)
from domain.plans import durations, exclusions
from domain.plans.canonical import canonical_json
from domain.plans.validation.validate import check_input
from domain.resilience.model import NewExecution, Phase, ResilienceSummary
from domain.timing import Timing
from workflows import policies
from workflows.execution.execution_workflow import Pausable
from workflows.execution.failures import StageError
from workflows.execution.locking import take_lock
from workflows.resilience.discovering import DiscoveringRun
from workflows.resilience.injecting import break_each
from workflows.windows.recording import RecordingWindow
from workflows.windows.rules import RulesWindow

with workflow.unsafe.imports_passed_through():
    from activities.load.batches import LoadActivities
    from activities.run.executions import ExecutionActivities
    from activities.run.judging import JudgingActivities


@workflow.defn(name=WorkflowType.RESILIENCE_TEST, failure_exception_types=[Exception])
class ResilienceTest(DiscoveringRun):
    """One run of a plan."""

    @workflow.run
    async def run(self, raw: Any = None, *unexpected: Any) -> ResilienceSummary:
        """Run the stages, close everything, then return the result.

        A cancelled run ends as cancelled, after everything is closed.

        Raises:
            ApplicationError: type = the error's code, detail = `RunFailure`.
        """
        self._accept(raw, unexpected)
        return await self._run_to_end(self._stages(), self._plan.stop.deadline)

    async def _stages(self) -> ResilienceSummary:
        """Run all stages in order (`docs/architecture.md`)."""
        await self._create_record()
        await self._lock_environment()
        await self._require_steady_state()
        if self._plan.stop.watches:
            self._early.watch(self.execution)
        await self._analyze_traffic()
        await self._generate_cases()
        await self._inject_and_replay()
        await self._load_test_every_case()
        await self._verify_pairs()
        await self._early.unwatch()
        return await self._finish(await self._judge())

    def _accept(self, raw: Any, unexpected: tuple[Any, ...]) -> None:
        checked = check_input(raw, unexpected)
        if checked.plan is None or checked.input is None or checked.problems:
            self._refuse(checked.problems)
        self._plan = checked.plan
        self._input = checked.input
        self._board.accepted(checked.plan, workflow.now())
        self._publish()

    async def _create_record(self) -> None:
        """Create the run's record with its ids, and store the plan (GENERATING_CASES)."""
        info = workflow.info()
        new = NewExecution(
            plan_json=canonical_json(self._plan),
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            requested_by=self._input.requested_by,
            verify_pairs=self._input.verify_pairs is not None,
        )
        self._record = await workflow.execute_activity_method(
            ExecutionActivities.create, new, summary="Store plan and record", **policies.quick(Timing())
        )
        self._raise_if_ending()
        self._board.recorded(self.execution)
        self._publish()

    async def _lock_environment(self) -> None:
        """Take the namespace's lock, which admits one run at a time."""
        window = self._window_input(self._plan.timeouts.recovery.total_seconds())
        order = LockInput(**window.model_dump(), leftovers=self._input.leftovers)
        self._early.holds(await take_lock(self._plan, order, self._input.if_busy, self._board))
        self._raise_if_ending()

    async def _require_steady_state(self) -> None:
        """Require the steady state before anything is switched on (GENERATING_CASES).

        A system that is already unhealthy is left alone.
        """
        steady = await self._check_steady_state(SteadyMoment.BEFORE)
        if not steady.met:
            raise StageError(
                ErrorCode.STEADY_STATE_NOT_MET,
                f"nothing was switched on: the plan's request is not in its steady state: {steady.detail}",
            )

    async def _analyze_traffic(self) -> None:
        """Record the calls that one request causes (ANALYZING_PATTERNS)."""
        await self._enter(Phase.ANALYZING_PATTERNS)
        await self._wait_while_paused()
        hold = durations.recording_hold(self._plan, self.execution.timing.analyze_dedupe)
        report = await workflow.execute_child_workflow(
            RecordingWindow.run,
            self._window_input(hold.total_seconds()),
            id=recording_workflow_id(self.execution),
            static_summary="Record the traffic of one request",
            **policies.WINDOW,
        )
        self._raise_if_ending()
        self._board.analyzed(report)
        self._publish()
        if not report.recovery_verified:
            raise StageError(ErrorCode.RECOVERY_UNVERIFIED, "the recordings were not seen to end; see the ledger")
        self._excluded += unmeasurable.exclude_unreached(report.services)
        self._excluded += unmeasurable.exclude_without_baggage(report.services)

    async def _generate_cases(self) -> None:
        """Generate cases and baggage tokens (still ANALYZING_PATTERNS).

        Only once `RecordingWindow` has closed, and the services are stable again.
        """
        cases = await workflow.execute_activity_method(
            ExecutionActivities.generate_cases,
            self._ref,
            summary="Generate cases and baggage tokens",
            **policies.bookkeeping(self.execution.timing),
        )
        self._raise_if_ending()
        self._board.generated(cases)
        self._publish()

    async def _inject_and_replay(self) -> None:
        """Break each service once and capture how it fails (INJECTING_AND_REPLAYING)."""
        await self._enter(Phase.INJECTING_AND_REPLAYING)
        unusable = {exclusion.service: exclusion.reason for exclusion in self._excluded}
        needless = exclusions.needless(self._plan, unusable)
        # For replays: older histories also broke services that no case needed.
        if needless and workflow.patched("nothing is broken for nothing"):
            unusable |= needless
            self._needless = set(needless)
        for service, reason in unusable.items():
            self._board.uninjected(service, reason)
        services = [name for name in self._plan.service_names if name not in unusable]
        # For replays: older histories have no discovery of fallback calls.
        if not workflow.patched("calls are recorded while services are broken"):
            self._excluded += unmeasurable.exclude_uncaptured(await break_each(services, self._plan, self._break))
            return
        self._discovered = True
        reports, later = await self._break_and_discover(services, self._break)
        self._excluded += unmeasurable.exclude_uncaptured(reports)
        self._excluded = unmeasurable.lift_captured(self._excluded, later)

    async def _break(self, service: str) -> FaultReport:
        await self._wait_while_paused()
        order = self._fault_input(service)
        if self._discovered:
            order = order.model_copy(update=self._request_fields(service))
        return await self._run_fault_window(order, f"Break {service} and see how it fails")

    async def _load_test_every_case(self) -> None:
        """Measure every case: RULES_READY, then LOAD_TEST_BASELINE.

        The second phase begins once the rules are seen to act.
        """
        await self._enter(Phase.RULES_READY)
        if self._excluded or self._plan.exclude:
            await workflow.execute_activity_method(
                LoadActivities.exclude,
                ExclusionOrder(execution_id=self.execution.execution_id, exclusions=self._excluded),
                summary="Record which cases cannot be measured",
                **policies.bookkeeping(self.execution.timing),
            )
            self._raise_if_ending()
        await self._wait_while_paused()
        order = self._rules_order()
        self._board.rules_planned(order.ttl_seconds)
        self._rules = await workflow.start_child_workflow(
            RulesWindow.run,
            order,
            id=rules_workflow_id(self.execution),
            static_summary="Rules on, load test, rules off",
            **policies.WINDOW,
        )
        paused = self._paused
        await self._begin_pausable("rules", Pausable(self._rules, RulesWindow.pause, RulesWindow.resume))
        if paused and self._must_end:
            # Waiting for the pause to be passed on may have swallowed the cancel. Without this, a paused load test
            # would never end.
            self._rules.cancel()
        report = await self._rules
        self._raise_if_ending()
        if not report.recovery_verified:
            raise StageError(ErrorCode.RECOVERY_UNVERIFIED, "the rules were not seen to end; see the ledger")

    async def _judge(self) -> JudgedCases:
        """Judge every case against the SLO, then the run (DONE)."""
        judgement: JudgedCases = await workflow.execute_activity_method(
            JudgingActivities.judge, self._ref, summary="Judge", **policies.bookkeeping(self.execution.timing)
        )
        self._raise_if_ending()
        self._board.judged(judgement)
        return judgement

    async def _finish(self, judgement: JudgedCases) -> ResilienceSummary:
        """Check the steady state once more, record the end, and return the result."""
        await self._check_steady_state(SteadyMoment.AFTER)
        await self._record_end(RunStatus.COMPLETED, None)
        state = self._board.state
        return ResilienceSummary(
            execution_id=self.execution.execution_id,
            name=self._plan.name,
            plan=self._plan.name,
            namespace=self._plan.system.namespace,
            verdict=judgement.verdict,
            recovery=state.recovery or Recovery.UNVERIFIED,
            cases=judgement.cases,
            failed_cases=judgement.failed_cases,
            inconclusive_cases=judgement.inconclusive_cases,
            requests_saved=judgement.requests_saved,
            pairs=state.pairs,
            started_at=state.started_at or workflow.now(),
            finished_at=workflow.now(),
        )

    def _rules_order(self) -> RulesWindowInput:
        excluded = {exclusion.service for exclusion in self._excluded} | self._needless
        total = case_count(len(self._plan.services))
        ttl = durations.rules_ttl(self._plan, total).total_seconds()
        return RulesWindowInput(
            **self._window_input(ttl).model_dump(),
            services=[name for name in self._plan.service_names if name not in excluded],
            case_count=total,
            batch_seconds=durations.batch_bound(self._plan).total_seconds(),
            ttl_seconds=int(ttl),
            batches_at_once=self._plan.load.batches_at_once,
        )
