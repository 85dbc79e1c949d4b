"""Results of pairs with two real faults."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlmodel import col

from clients.store.decoding import Rows
from clients.store.engine import reading, writing
from clients.store.read_models import CheckedPair
from clients.store.repositories.ended import refuse_ended
from clients.store.repository import Repository
from clients.store.schema.columns import utc_now
from clients.store.schema.pair_tables import PairCheck
from clients.store.schema.tables import TestCase
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_missing
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Verdict
from domain.pairs.fidelity import PairFinding, PairOutcome
from domain.traffic.exchange import Measurement


class PairChecks(Repository):
    """Repository of verified pairs: one row per pair, and the first stays.

    Reading an unknown run returns nothing.
    """

    @uncancellable
    async def save(self, execution_id: int, pair: CheckedPair) -> None:
        """Store the result of a pair; the first result stays.

        It is on disk when this returns.

        Raises:
            HoldfastError: NOT_FOUND for an unknown run or case index, STORE_CONFLICT for a run that has ended.
        """
        case = select(col(TestCase.id)).where(
            col(TestCase.execution_id) == execution_id, col(TestCase.case_index) == pair.case_index
        )
        async with writing(self._engine) as work:
            await refuse_ended(work, execution_id)
            case_id = (await work.execute(case)).scalar_one_or_none()
            if case_id is None:
                raise HoldfastError(ErrorCode.NOT_FOUND, f"execution {execution_id} has no case {pair.case_index}")
            row = {"execution_id": execution_id, "test_case_id": case_id} | _row(pair)
            await insert_missing(work, PairCheck, [row], "execution_id", "test_case_id")

    @uncancellable
    async def of(self, execution_id: int, case_index: int | None = None) -> Rows[CheckedPair]:
        """Return a run's pairs by case index, or one case's pair.

        This includes the pairs that could not be verified.
        """
        index = col(TestCase.case_index)
        wanted = (
            select(PairCheck, index, col(TestCase.case_id))
            .join(TestCase, col(PairCheck.test_case_id) == col(TestCase.id))
            .where(col(PairCheck.execution_id) == execution_id, *([] if case_index is None else [index == case_index]))
            .order_by(index)
        )
        async with reading(self._engine) as work:
            return self._damage.all(await work.execute(wanted), lambda found: _pair(*found))


def _row(pair: CheckedPair) -> dict[str, Any]:
    finding = pair.finding
    measured = pair.measurement
    return {
        "outcome": finding.outcome.value,
        "reason": finding.reason,
        "status_agrees": finding.status_agrees,
        "body_agrees": finding.body_agrees,
        "verdict_agrees": finding.verdict_agrees,
        "differs": finding.differs,
        "verdict": pair.verdict.value if pair.verdict else None,
        "response_code": measured.response_code if measured else None,
        "response_body": measured.response_body if measured else "",
        "measurement": measured.model_dump(mode="json", exclude={"response_code", "response_body"})
        if measured
        else None,
        "created_at": utc_now(),
    }


def _pair(row: PairCheck, index: int, case_id: str) -> CheckedPair:
    answered = {"response_code": row.response_code, "response_body": row.response_body}
    return CheckedPair(
        case_index=index,
        finding=PairFinding(
            case_id=case_id,
            outcome=PairOutcome(row.outcome),
            status_agrees=row.status_agrees,
            body_agrees=row.body_agrees,
            verdict_agrees=row.verdict_agrees,
            differs=row.differs,
            reason=row.reason,
        ),
        verdict=Verdict(row.verdict) if row.verdict else None,
        measurement=Measurement.model_validate(row.measurement | answered) if row.measurement is not None else None,
    )
