"""`ResilienceTest`: one run of a plan, as a list of stages.

What is switched on is held by windows (`workflows/windows/`), child workflows that close themselves however this
workflow ends. What a run does stands in `_stages()`; how it ends, by itself, by cancel, abort or error, in `run()`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import workflow

from workflows import policies
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import (
    NewExecution,
    Phase,
    Recovery,
    RunStatus,
    RunSummary,
)
from workflows.contracts.faults import FaultReport
from workflows.contracts.load import ExclusionOrder
from workflows.contracts.steady import SteadyMoment
from workflows.contracts.timing import Timing
from workflows.contracts.windows import LockInput, RulesWindowInput
from workflows.discovering import DiscoveringRun
from workflows.injecting import break_each
from workflows.locking import take_lock
from workflows.logic import coverage, durations, exclusions
from workflows.logic.canonical import canonical_json
from workflows.logic.cases import case_count
from workflows.logic.validation import check_input
from workflows.logic.window_rows import told_for
from workflows.names import (
    WorkflowType,
    fault_workflow_id,
    recording_workflow_id,
    rules_workflow_id,
)
from workflows.run_failures import StageError, raise_as, refused_input
from workflows.windows.fault import FaultWindow
from workflows.windows.recording import RecordingWindow
from workflows.windows.rules import RulesWindow

with workflow.unsafe.imports_passed_through():
    from activities.executions import ExecutionActivities
    from activities.judging import JudgingActivities
    from activities.load import LoadActivities


@workflow.defn(name=WorkflowType.RESILIENCE_TEST, failure_exception_types=[Exception])
class ResilienceTest(DiscoveringRun):
    """One run."""

    @workflow.run
    async def run(self, raw: Any = None, *unexpected: Any) -> RunSummary:
        """Run the stages; end as the operator, an error or the result says, after everything is closed.

        Raises:
            ApplicationError: type = the error's code, detail = `RunFailure`.
        """
        self._accept(raw, unexpected)
        stages = asyncio.create_task(self._stages())
        try:
            await self._early.wait_for(stages, self._plan.stop.deadline)
        except asyncio.CancelledError:
            workflow.logger.info("asked to end: closing everything first")
        error = await _wound_up(stages)
        await self._early.unwatch()
        if workflow.cancellation_reason() is not None:
            await self._ended(RunStatus.CANCELLED, Phase.CANCELLED, None)
            raise asyncio.CancelledError
        error = self._early.error or error
        if error is not None:
            raise raise_as(await self._failed(error))
        return stages.result()

    async def _stages(self) -> RunSummary:
        """What a run does, in order (`docs/architecture.md`)."""
        await self._create_record()
        await self._lock_environment()
        await self._meet_steady_state()
        if self._plan.stop.watches:
            self._early.watch(self.execution)
        await self._analyze_traffic()
        await self._generate_cases()
        await self._inject_and_replay()
        await self._load_test_every_case()
        await self._verify_pairs()
        await self._early.unwatch()
        return await self._judge()

    def _accept(self, raw: Any, unexpected: tuple[Any, ...]) -> None:
        checked = check_input(raw, unexpected)
        if checked.plan is None or checked.input is None or checked.problems:
            failure = refused_input(checked.problems)
            self._board.refused(failure.code, failure.message, workflow.now())
            self._publish()
            raise raise_as(failure)
        self._plan = checked.plan
        self._input = checked.input
        self._board.accepted(checked.plan, workflow.now())
        self._publish()

    async def _create_record(self) -> None:
        """GENERATING_CASES: the record of the run, its ids, the stored plan."""
        info = workflow.info()
        new = NewExecution(
            plan_json=canonical_json(self._plan),
            workflow_id=info.workflow_id,
            run_id=info.run_id,
            requested_by=self._input.requested_by,
            verify_pairs=self._input.verify_pairs is not None,
        )
        self._execution = await workflow.execute_activity_method(
            ExecutionActivities.create, new, summary="Store plan and record", **policies.quick(Timing())
        )
        self._ensure_going_on()
        self._board.created(self.execution)
        self._publish()

    async def _lock_environment(self) -> None:
        """Take the namespace: one run at a time."""
        window = self._window_input(self._plan.timeouts.recovery.total_seconds())
        order = LockInput(**window.model_dump(), leftovers=self._input.leftovers)
        self._early.holds(await take_lock(self._plan, order, self._input.if_busy, self._board))
        self._locked = True
        self._ensure_going_on()

    async def _meet_steady_state(self) -> None:
        """Still GENERATING_CASES: a system that is ill already is left alone."""
        steady = await self._steady(SteadyMoment.BEFORE)
        if not steady.met:
            raise StageError(
                ErrorCode.STEADY_STATE_NOT_MET,
                f"nothing was switched on: the plan's request is not in its steady state: {steady.detail}",
            )

    async def _analyze_traffic(self) -> None:
        """ANALYZING_PATTERNS: what one request makes the services say to each other."""
        await self._enter(Phase.ANALYZING_PATTERNS)
        await self._unpaused()
        hold = durations.recording_hold(self._plan, self.execution.timing.analyze_dedupe)
        report = await workflow.execute_child_workflow(
            RecordingWindow.run,
            self._window_input(hold.total_seconds()),
            id=recording_workflow_id(self.execution),
            static_summary="Record the traffic of one request",
            **policies.WINDOW,
        )
        self._ensure_going_on()
        self._board.analyzed(report)
        self._publish()
        if not report.recovery_verified:
            raise StageError(ErrorCode.RECOVERY_UNVERIFIED, "the recordings were not seen to end; see the ledger")
        self._excluded += coverage.before_injection(report.services) + coverage.baggage_lost(report.services)

    async def _generate_cases(self) -> None:
        """Still ANALYZING_PATTERNS: cases and baggage tokens, a step of their own once services are stable."""
        cases = await workflow.execute_activity_method(
            ExecutionActivities.generate_cases,
            self._ref,
            summary="Generate cases and baggage tokens",
            **policies.bookkeeping(self.execution.timing),
        )
        self._ensure_going_on()
        self._board.generated(cases)
        self._publish()

    async def _inject_and_replay(self) -> None:
        """INJECTING_AND_REPLAYING: one real fault per service; how each fails is captured."""
        await self._enter(Phase.INJECTING_AND_REPLAYING)
        unusable = {one.service: one.reason for one in self._excluded}
        needless = exclusions.needless(self._plan, unusable)
        if needless and workflow.patched("nothing is broken for nothing"):
            unusable |= needless
            self._needless = set(needless)
        for service, reason in unusable.items():
            self._board.uninjected(service, reason)
        services = [name for name in self._plan.service_names if name not in unusable]
        if not workflow.patched("calls are recorded while services are broken"):
            self._excluded += coverage.after_injection(await break_each(services, self._plan, self._break))
            return
        self._discovered = True
        reports, later = await self._break_and_discover(services, self._break)
        self._excluded += coverage.after_injection(reports)
        self._excluded = coverage.joined(self._excluded, later)

    async def _break(self, service: str) -> FaultReport:
        await self._unpaused()
        order = self._fault_input(service)
        if self._discovered:
            order = order.model_copy(update=self._asking(service))
        window_id = fault_workflow_id(self.execution, service)
        if order.terse:
            self._board.window_changed(told_for(order, window_id, workflow.now()), workflow.now())
        report = await workflow.execute_child_workflow(
            FaultWindow.run,
            order,
            id=window_id,
            static_summary=f"Break {service} and see how it fails",
            **policies.WINDOW,
        )
        if order.terse:
            self._board.window_changed(told_for(order, window_id, workflow.now(), report), workflow.now())
        self._ensure_going_on()
        self._board.injected(report)
        self._publish()
        if not report.recovery_verified:
            raise StageError(ErrorCode.RECOVERY_UNVERIFIED, f"{service} was not seen to recover: {report.error}")
        return report

    async def _load_test_every_case(self) -> None:
        """RULES_READY, then LOAD_TEST_BASELINE once the rules are seen to act: every case is measured."""
        await self._enter(Phase.RULES_READY)
        if self._excluded or self._plan.exclude:
            await workflow.execute_activity_method(
                LoadActivities.exclude,
                ExclusionOrder(execution_id=self.execution.execution_id, exclusions=self._excluded),
                summary="Record which cases cannot be measured",
                **policies.bookkeeping(self.execution.timing),
            )
            self._ensure_going_on()
        await self._unpaused()
        order = self._rules_order()
        self._board.rules_planned(order.ttl_seconds)
        self._rules = await workflow.start_child_workflow(
            RulesWindow.run,
            order,
            id=rules_workflow_id(self.execution),
            static_summary="Rules on, load test, rules off",
            **policies.WINDOW,
        )
        if self._paused:
            await self._tell_rules()
        report = await self._rules
        self._ensure_going_on()
        if not report.recovery_verified:
            raise StageError(ErrorCode.RECOVERY_UNVERIFIED, "the rules were not seen to end; see the ledger")

    async def _judge(self) -> RunSummary:
        """DONE: every case against the SLO, then the run; and whether the system still does what it did."""
        judgement = await workflow.execute_activity_method(
            JudgingActivities.judge, self._ref, summary="Judge", **policies.bookkeeping(self.execution.timing)
        )
        self._ensure_going_on()
        self._board.judged(judgement)
        await self._steady(SteadyMoment.AFTER)
        await self._ended(RunStatus.COMPLETED, Phase.DONE, None)
        state = self._board.state
        return RunSummary(
            execution_id=self.execution.execution_id,
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
        excluded = {one.service for one in self._excluded} | self._needless
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


async def _wound_up(stages: asyncio.Task[RunSummary]) -> BaseException | None:
    """Let the stages end: cancelled if they have not, and waited for, so that every window has closed."""
    if not stages.done():
        stages.cancel()
    await workflow.wait([stages])
    return None if stages.cancelled() else stages.exception()
