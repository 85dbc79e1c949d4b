"""Results of cases.

Rows only move forward. A measurement replaces a result without one, never the other way round. An invalidated
measurement (`invalidate`) stays invalid, even if a worker that was presumed dead writes again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from clients.store.changes import RequestsStored
from clients.store.decoding import Rows
from clients.store.engine import reading, writing
from clients.store.read_models import CaseResult, StoredSamples
from clients.store.repositories.ended import refuse_ended
from clients.store.repositories.measurements import result_of, result_row
from clients.store.repositories.samples import write_samples
from clients.store.repository import Repository
from clients.store.schema.tables import TestCase, TestResult
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_or_replace
from domain.cases.real_verdicts import Settled
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome
from domain.traffic.exchange import Measurement

CHUNK = 1000
"""Rows per transaction of a bulk change."""


def _requests(measurement: Measurement) -> RequestsStored:
    return RequestsStored(measurement.requests, measurement.errors, measurement.late_starts)


class Results(Repository):
    """Repository of results: one row per case.

    Reading an unknown run returns nothing. Writing raises STORE_CONFLICT for a run that has ended.
    """

    async def save(self, execution_id: int, result: CaseResult) -> None:
        """Store the result of one case without samples, like `save_group`."""
        await self.save_group(execution_id, [result], [])

    @uncancellable
    async def save_group(
        self, execution_id: int, results: Sequence[CaseResult], samples: Sequence[StoredSamples]
    ) -> None:
        """Store the results of cases measured together, all or none.

        They are on disk when this returns. A result without a measurement never replaces a result with one, and nothing
        replaces an invalidated measurement.

        Raises:
            HoldfastError: NOT_FOUND for an unknown run or case index.
        """
        unmeasured = col(TestResult.requests).is_(None)
        standing = col(TestResult.outcome) == CaseOutcome.MEASURED.value
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            ids = await _case_ids(work, execution_id, [result.case_index for result in results])
            for result in results:
                replaced = (unmeasured | standing) if result.measurement else unmeasured
                row = {"execution_id": execution_id, "test_case_id": ids[result.case_index]} | result_row(result)
                await insert_or_replace(work, TestResult, [row], "execution_id", "test_case_id", where=replaced)
            await write_samples(work, execution_id, ids, samples)
        self._report(*(_requests(result.measurement) for result in results if result.measurement))

    async def save_unmeasured(self, execution_id: int, results: Iterable[CaseResult]) -> None:
        """Store the outcomes of unmeasured cases, in bulk; measurements stay.

        Raises:
            HoldfastError: NOT_FOUND for an unknown run or case index.
        """
        rest = iter(results)
        while chunk := list(islice(rest, CHUNK)):
            await self._save_chunk(execution_id, chunk)

    @uncancellable
    async def _save_chunk(self, execution_id: int, results: Sequence[CaseResult]) -> None:
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            ids = await _case_ids(work, execution_id, [result.case_index for result in results])
            rows = [
                {"execution_id": execution_id, "test_case_id": ids[result.case_index]} | result_row(result)
                for result in results
            ]
            unmeasured = col(TestResult.requests).is_(None)
            await insert_or_replace(work, TestResult, rows, "execution_id", "test_case_id", where=unmeasured)

    @uncancellable
    async def finished(self, execution_id: int, first: int, end: int) -> dict[int, CaseOutcome]:
        """Return outcomes by case index, for first <= index < end.

        Cases without a result are left out.
        """
        index = col(TestCase.case_index)
        wanted = (
            select(index, col(TestResult.outcome))
            .join(TestResult, _same_case())
            .where(col(TestResult.execution_id) == execution_id, index >= first, index < end)
            .order_by(index)
        )
        async with reading(self._engine) as work:
            return dict(self._damage.all(await work.execute(wanted), _outcome, label=_label_of(execution_id)))

    async def all(self, execution_id: int) -> Rows[CaseResult]:
        """Return every result of a run, by case index."""
        return await self.between(execution_id, 0, None)

    @uncancellable
    async def between(self, execution_id: int, first: int, end: int | None) -> Rows[CaseResult]:
        """Return the results of the cases with first <= index < end.

        Without `end`, up to the last case.
        """
        index = col(TestCase.case_index)
        wanted = (
            select(TestResult, index, col(TestCase.case_id), col(TestCase.case_type))
            .join(TestCase, _same_case())
            .where(
                col(TestResult.execution_id) == execution_id, index >= first, *([] if end is None else [index < end])
            )
            .order_by(index)
        )
        async with reading(self._engine) as work:
            return self._damage.all(await work.execute(wanted), lambda found: result_of(*found))

    async def invalidate(self, execution_id: int, indices: list[int], reason: str) -> None:
        """Invalidate measurements: set the outcome to invalid, keep the numbers.

        The verdict is removed; the numbers stay for inspection. Unmeasured cases keep their outcome and reason.

        Raises:
            HoldfastError: NOT_FOUND when one of the cases has no result.
        """
        facts = {"outcome": CaseOutcome.INVALID.value, "reason": reason, "verdict": None}
        await self._change(execution_id, dict.fromkeys(indices, facts))

    async def save_verdicts(self, execution_id: int, verdicts: dict[int, tuple[Verdict, str]]) -> None:
        """Store verdict and reason of measured cases, by case index.

        Other cases get no verdict and keep their reason.

        Raises:
            HoldfastError: NOT_FOUND when one of the cases has no result.
        """
        await self._change(
            execution_id,
            {index: {"verdict": verdict.value, "reason": reason} for index, (verdict, reason) in verdicts.items()},
        )

    async def settle(self, execution_id: int, settled: Mapping[int, Settled]) -> None:
        """Settle measured cases, by case index.

        Each either gets a verdict, as in `save_verdicts`, or becomes invalid, as in `invalidate`.

        Raises:
            HoldfastError: NOT_FOUND when one of the cases has no result.
        """
        await self._change(
            execution_id,
            {
                index: {
                    "outcome": decision.outcome.value,
                    "verdict": decision.verdict.value if decision.verdict else None,
                    "reason": decision.reason,
                    "found_by": decision.found_by.value if decision.found_by else None,
                }
                for index, decision in settled.items()
            },
        )

    async def _change(self, execution_id: int, facts: Mapping[int, dict[str, Any]]) -> None:
        rest = iter(facts)
        while chunk := list(islice(rest, CHUNK)):
            await self._change_chunk(execution_id, {index: facts[index] for index in chunk})

    @uncancellable
    async def _change_chunk(self, execution_id: int, facts: Mapping[int, dict[str, Any]]) -> None:
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            rows = await _result_ids(work, execution_id, list(facts))
            statement = update(TestResult.__table__).where(  # type: ignore[attr-defined]
                col(TestResult.id) == bindparam("row"), col(TestResult.outcome) == CaseOutcome.MEASURED.value
            )
            names: dict[str, Any] = {name: bindparam(f"new_{name}") for name in next(iter(facts.values()))}
            values = [
                {"row": rows[index], **{f"new_{name}": value for name, value in changed.items()}}
                for index, changed in facts.items()
            ]
            await work.execute(statement.values(names), values)


def _outcome(found: Any) -> tuple[int, CaseOutcome]:
    number, outcome = found
    return int(number), CaseOutcome(outcome)


def _label_of(execution_id: int) -> Callable[[Any], str]:
    return lambda found: f"result of case {found[0]} of execution {execution_id}"


async def _case_ids(work: AsyncSession, execution_id: int, indices: list[int]) -> dict[int, int | None]:
    index = col(TestCase.case_index)
    wanted = select(index, col(TestCase.id)).where(col(TestCase.execution_id) == execution_id, index.in_(indices))
    found = dict((await work.execute(wanted)).all())
    missing = [number for number in indices if number not in found]
    if missing:
        raise HoldfastError(ErrorCode.NOT_FOUND, f"execution {execution_id} has no case {missing[0]}")
    return found


async def _result_ids(work: AsyncSession, execution_id: int, indices: list[int]) -> dict[int, int | None]:
    index = col(TestCase.case_index)
    wanted = (
        select(index, col(TestResult.id))
        .join(TestResult, _same_case())
        .where(col(TestResult.execution_id) == execution_id, index.in_(indices))
    )
    rows = dict((await work.execute(wanted)).all())
    missing = [number for number in indices if number not in rows]
    if missing:
        raise HoldfastError(
            ErrorCode.NOT_FOUND,
            f"execution {execution_id} has no result of {len(missing)} cases, case {missing[0]} first",
        )
    return rows


def _same_case() -> ColumnElement[bool]:
    return col(TestResult.test_case_id) == col(TestCase.id)
