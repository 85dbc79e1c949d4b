"""What became of each case."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from clients.store.engine import session
from clients.store.read_models import CaseResult
from clients.store.tables import TestCase, TestResult, utc_now
from clients.store.upsert import insert_or_replace
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import Verdict
from workflows.contracts.load import CaseOutcome, CaseType

_KEY = ("execution_id", "test_case_id")


class Results:
    """Repository of results: one row a case."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def save(self, execution_id: int, result: CaseResult) -> None:
        """Store a case's result; a measured one is never overwritten by one that was not measured."""
        execution, index = _case_columns()
        outcome: Any = TestResult.outcome
        keep = None if result.measurement else outcome != CaseOutcome.MEASURED.value
        wanted = select(_case_id()).where(execution == execution_id, index == result.case_index)
        async with session(self._engine) as work:
            case = (await work.execute(wanted)).scalar_one_or_none()
            if case is None:
                raise HoldfastError(ErrorCode.NOT_FOUND, f"execution {execution_id} has no case {result.case_index}")
            row = _row(execution_id, case, result)
            await insert_or_replace(work, TestResult, [row], *_KEY, where=keep)

    async def finished(self, execution_id: int, first: int, end: int) -> dict[int, CaseOutcome]:
        """Outcome by case index, for the cases in the range that have one."""
        _, index = _case_columns()
        outcome: Any = TestResult.outcome
        wanted = _joined(index, outcome).where(_execution() == execution_id, index >= first, index < end)
        async with session(self._engine) as work:
            return {found: CaseOutcome(name) for found, name in (await work.execute(wanted)).all()}

    async def all(self, execution_id: int) -> list[CaseResult]:
        """Every result of a run, by case index."""
        _, index = _case_columns()
        wanted = _joined(TestResult, TestCase).where(_execution() == execution_id).order_by(index)
        async with session(self._engine) as work:
            return [_read(result, case) for result, case in (await work.execute(wanted)).all()]

    async def invalidate(self, execution_id: int, indices: list[int], reason: str) -> None:
        """Mark measured cases as invalid; what was measured stays for whoever wants to know."""
        facts = {"outcome": CaseOutcome.INVALID.value, "reason": reason, "verdict": None}
        await self._update(execution_id, dict.fromkeys(indices, facts))

    async def save_verdicts(self, execution_id: int, verdicts: dict[int, tuple[Verdict, str]]) -> None:
        """Store the verdict and its reason, by case index."""
        await self._update(
            execution_id,
            {index: {"verdict": verdict.value, "reason": reason} for index, (verdict, reason) in verdicts.items()},
        )

    async def _update(self, execution_id: int, facts: dict[int, dict[str, Any]]) -> None:
        execution, index = _case_columns()
        case: Any = TestResult.test_case_id
        wanted = select(index, _case_id()).where(execution == execution_id)
        async with session(self._engine) as work:
            ids = dict((await work.execute(wanted)).all())
            for number, values in facts.items():
                await work.execute(
                    update(TestResult).where(_execution() == execution_id, case == ids[number]).values(**values)
                )


def _case_columns() -> tuple[Any, Any]:
    return TestCase.execution_id, TestCase.case_index


def _case_id() -> Any:
    return TestCase.id


def _execution() -> Any:
    return TestResult.execution_id


def _joined(*what: Any) -> Any:
    case, identity = TestResult.test_case_id, TestCase.id
    on: Any = case == identity
    return select(*what).select_from(TestResult).join(TestCase, on)


def _row(execution_id: int, case: int, result: CaseResult) -> dict[str, Any]:
    found = result.measurement
    return {
        "execution_id": execution_id,
        "test_case_id": case,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "verdict": result.verdict.value if result.verdict else None,
        "request_url": result.request_url,
        "request_method": result.request_method,
        "p50": found.p50_ms if found else None,
        "p95": found.p95_ms if found else None,
        "p99": found.p99_ms if found else None,
        "err_rate": Decimal(str(found.error_rate)) if found else None,
        "response_code": found.response_code if found else None,
        "response_body": found.response_body if found else "",
        "success_p50_us": found.success_p50_us if found else None,
        "success_p95_us": found.success_p95_us if found else None,
        "success_p99_us": found.success_p99_us if found else None,
        "success_max_us": found.success_max_us if found else None,
        "requests": found.requests if found else None,
        "successes": found.successes if found else None,
        "errors": found.errors if found else None,
        "errors_by_kind": found.errors_by_kind if found else None,
        "duration_us": found.duration_us if found else None,
        "created_at": utc_now(),
    }


def _read(result: TestResult, case: TestCase) -> CaseResult:
    return CaseResult(
        case_index=case.case_index,
        case_id=case.case_id,
        case_type=CaseType(case.case_type),
        outcome=CaseOutcome(result.outcome),
        reason=result.reason,
        verdict=Verdict(result.verdict) if result.verdict else None,
        measurement=_measurement(result),
        request_url=result.request_url,
        request_method=result.request_method,
    )


def _measurement(result: TestResult) -> Measurement | None:
    if result.requests is None:
        return None
    return Measurement(
        p50_ms=result.p50 or 0,
        p95_ms=result.p95 or 0,
        p99_ms=result.p99 or 0,
        error_rate=float(result.err_rate or 0),
        success_p50_us=result.success_p50_us,
        success_p95_us=result.success_p95_us,
        success_p99_us=result.success_p99_us,
        success_max_us=result.success_max_us,
        requests=result.requests,
        successes=result.successes or 0,
        errors=result.errors or 0,
        errors_by_kind=result.errors_by_kind or {},
        duration_us=result.duration_us or 0,
        response_code=result.response_code,
        response_body=result.response_body,
    )
