"""`RulesWindow`: holds the rules, by which the proxy answers for failed services.

Inside, the load test runs. Afterwards the rules are verified not to act any more.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from domain.cases.cases import BATCH_SIZE, pages_of
from domain.errors import ErrorCode
from domain.executions.windows import Closing, RulesWindowInput, StabilityMoment, WindowKind, WindowState
from domain.measuring.load import CaseRange, LoadReport, PageInput, PageReport, RulesOrder
from domain.names import PAUSE_SIGNAL, RESUME_SIGNAL, WorkflowType, page_workflow_id
from domain.resilience.model import Phase, PhaseChange
from workflows import policies
from workflows.windows.holding import Holding
from workflows.windows.load_page import LoadPage

with workflow.unsafe.imports_passed_through():
    from activities.run.executions import ExecutionActivities
    from activities.stages.rules import RulesActivities


@workflow.defn(name=WorkflowType.RULES_WINDOW)
class RulesWindow:
    """Holds the rules of a run while every case is measured."""

    @workflow.init
    def __init__(self, order: RulesWindowInput) -> None:
        """Prepare the window; nothing is switched on yet."""
        self._order = order
        self._holding = Holding(order, WindowKind.RULES, peer_name=order.execution.record_id)
        self._rules = RulesOrder(
            execution_id=order.execution.execution_id, services=order.services, ttl_seconds=order.ttl_seconds
        )
        self._report = LoadReport()
        self._paused = False
        self._page: workflow.ChildWorkflowHandle[LoadPage, PageReport] | None = None

    @workflow.run
    async def run(self, order: RulesWindowInput) -> LoadReport:
        """Switch the rules on, measure, and always switch them off."""
        held = await self._holding.hold(self._work(), self._remove if order.services else None, order.services)
        held.get()
        return self._report.model_copy(update={"recovery_verified": held.closing.verified})

    async def _work(self) -> None:
        await self._holding.record_intent()
        if self._order.services:
            await self._switch_on()
        await self._holding.record_open(rules=self._report.rules)
        await self._enter_load_phase()
        at_once = self._order.batches_at_once
        for page, cases in enumerate(pages_of(self._order.case_count, BATCH_SIZE, at_once)):
            await workflow.wait_condition(lambda: not self._paused)
            await self._measure(page, cases)

    async def _enter_load_phase(self) -> None:
        """Move the run's record to the load test's phase."""
        # Only now, when the window is open. The run itself learns that by signal.
        execution = self._order.execution
        change = PhaseChange(
            execution_id=execution.execution_id,
            phase=Phase.LOAD_TEST_BASELINE,
            intercept_record_id=execution.record_id,
        )
        await workflow.execute_activity_method(
            ExecutionActivities.change_phase,
            change,
            summary=f"Phase {change.phase}",
            **policies.bookkeeping(execution.timing),
        )
        self._holding.ensure_open()

    async def _switch_on(self) -> None:
        timing = self._order.execution.timing
        timeouts = self._order.timeouts
        services = self._order.services
        upserted = await workflow.execute_activity_method(
            RulesActivities.upsert,
            self._rules,
            summary=f"Upsert the rules of {len(services)} services",
            **policies.carefully(timing, timing.upsert(len(services))),
        )
        self._holding.ensure_open()
        self._report = self._report.model_copy(update={"rules": upserted.rules})
        await self._holding.signal_and_recheck(WindowState.OPENING, rules=upserted.rules)
        await workflow.execute_activity_method(
            RulesActivities.await_registered,
            self._rules,
            summary="Wait until the proxy has every session",
            **policies.waiting(timing, timeouts.rules_ready),
        )
        self._holding.ensure_open()
        await self._require_stable()
        await workflow.execute_activity_method(
            RulesActivities.await_acting,
            self._rules,
            summary="See the rules act, by their canaries",
            **policies.waiting(timing, timeouts.rules_ready),
        )
        self._holding.ensure_open()

    async def _require_stable(self) -> None:
        timing = self._order.execution.timing
        timeouts = self._order.timeouts
        options = policies.waiting(timing, timeouts.stability)
        report = await self._holding.stability(self._order.services, options, StabilityMoment.WITH_RULES)
        self._holding.ensure_open()
        await self._holding.signal_and_recheck(WindowState.OPENING, stability=report.services)
        if report.unstable:
            names = ", ".join(f"{service.service} ({service.detail})" for service in report.unstable)
            raise ApplicationError(
                f"not stable with the rules in place: {names}",
                type=ErrorCode.INTERCEPTOR_NOT_READY,
                non_retryable=True,
            )

    async def _measure(self, page: int, cases: CaseRange) -> None:
        order = PageInput(
            execution=self._order.execution,
            cases=cases,
            batch_size=BATCH_SIZE,
            batch_seconds=self._order.batch_seconds,
            paused=self._paused,
            at_once=self._order.batches_at_once,
        )
        self._page = await workflow.start_child_workflow(
            LoadPage.run,
            order,
            id=page_workflow_id(self._order.execution, page),
            static_summary=f"Load test, cases {cases.first} to {cases.end - 1}",
            **policies.WINDOW,
        )
        if self._paused != order.paused:
            await self._signal_page()
            if self._holding.must_close:
                # The signal may have swallowed the cancel. A paused page would then never end.
                self._page.cancel()
        done = await self._page
        self._holding.ensure_open()
        report = self._report
        self._report = report.model_copy(
            update={
                "pages": report.pages + 1,
                "batches": report.batches + done.batches,
                "measured": report.measured + done.measured,
                "invalid": report.invalid + done.invalid,
                "skipped": report.skipped + done.skipped,
            }
        )
        finished = self._report.measured + self._report.invalid + self._report.skipped
        await self._holding.signal_and_recheck(
            WindowState.OPEN, batches_done=self._report.batches, cases_done=finished, metrics=done.metrics
        )

    async def _remove(self) -> Closing:
        timing = self._order.execution.timing
        recovery = self._order.timeouts.recovery
        return await workflow.execute_activity_method(
            RulesActivities.remove,
            self._rules.model_copy(update={"known_to_be_on": self._report.rules > 0}),
            summary="Delete the rules and see that they no longer act",
            **policies.closing(timing, recovery),
        )

    @workflow.signal(name=PAUSE_SIGNAL)
    async def pause(self) -> None:
        """Begin no further batch until resumed.

        The rules stay on. Closing is never delayed.
        """
        self._paused = True
        await self._signal_page()

    @workflow.signal(name=RESUME_SIGNAL)
    async def resume(self) -> None:
        """Resume a paused load test."""
        self._paused = False
        await self._signal_page()

    async def _signal_page(self) -> None:
        """Pass pause or resume on to the running page."""
        # A page that ends at this moment must not fail the window.
        page = self._page
        if page is None or page.done():
            return
        try:
            await page.signal(LoadPage.pause if self._paused else LoadPage.resume)
        except FailureError as error:
            workflow.logger.info("the page did not take the pause: %s", error)
