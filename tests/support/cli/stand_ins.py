"""Small workflows under the real names: a run that behaves as its plan's description asks, and its lock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.workflow import ParentClosePolicy

from domain.errors import ERRORS, ErrorCode
from domain.executions.execution import Recovery, RunFailure, RunStatus, Verdict
from domain.executions.windows import LockReport
from domain.names import STATUS_QUERY, WorkflowType
from domain.resilience.model import CaseCounts, Phase, ResilienceSummary
from domain.resilience.state import PhaseTime, ResilienceState

WAITS = "waits"
"""The run waits until it is cancelled."""
WAITS_AND_IS_SLOW = "waits and is slow"
"""The same, and its lock takes for ever to verify."""
UNVERIFIED = "unverified"
NOT_CLEAN = "not clean"
LOCK_BREAKS = "lock breaks"


@workflow.defn(name=WorkflowType.RESILIENCE_TEST)
class StandInRun:
    def __init__(self) -> None:
        self._phases: list[PhaseTime] = []

    @workflow.query(name=STATUS_QUERY)
    def status(self) -> ResilienceState:
        phase = self._phases[-1].phase if self._phases else Phase.GENERATING_CASES
        return ResilienceState(
            execution_id=42, plan="stand-in", status=RunStatus.RUNNING, phase=phase, phases=self._phases,
            updated_at=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip

    @workflow.run
    async def run(self, raw: dict[str, Any]) -> ResilienceSummary:
        act = raw["plan"]["description"]
        self._phases.append(PhaseTime(phase=Phase.GENERATING_CASES, started_at=workflow.now()))
        lock = await workflow.start_child_workflow(
            WorkflowType.ENVIRONMENT_LOCK,
            act,
            id=f"environment/{workflow.info().run_id}",
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
        )
        if act == NOT_CLEAN:
            await workflow.wait([lock])
            raise _failure(ErrorCode.ENVIRONMENT_NOT_CLEAN)
        if act in ErrorCode.__members__:
            raise _failure(ErrorCode(act))
        if act.startswith(WAITS):
            await workflow.wait_condition(lambda: False)
        return _summary(Verdict(act) if act in set(Verdict) else Verdict.PASSED)


@workflow.defn(name=WorkflowType.ENVIRONMENT_LOCK)
class StandInLock:
    @workflow.run
    async def run(self, act: str) -> LockReport:
        if act == NOT_CLEAN:
            raise ApplicationError("a fault is on", type=ErrorCode.ENVIRONMENT_NOT_CLEAN, non_retryable=True)
        try:
            await workflow.wait_condition(lambda: False)
        except asyncio.CancelledError:
            if act == WAITS_AND_IS_SLOW:
                await workflow.sleep(timedelta(hours=1))
        if act == LOCK_BREAKS:
            raise ApplicationError("a defect", non_retryable=True)
        return LockReport(execution_id=42, recovery_verified=act != UNVERIFIED, open_windows=[])


def _failure(code: ErrorCode) -> ApplicationError:
    failure = RunFailure(
        code=code,
        error_class=ERRORS[code].error_class,
        phase=Phase.GENERATING_CASES,
        message=f"it was {code}",
        recovery=Recovery.NOT_NEEDED,
    )
    return ApplicationError(failure.message, failure, type=code, non_retryable=True)


def _summary(verdict: Verdict) -> ResilienceSummary:
    now = workflow.now()
    return ResilienceSummary(
        execution_id=42,
        plan="stand-in",
        namespace="shop",
        verdict=verdict,
        recovery=Recovery.VERIFIED,
        cases=CaseCounts(total=3, measured=3, passed=2, failed=1),
        started_at=now,
        finished_at=now,
    )
