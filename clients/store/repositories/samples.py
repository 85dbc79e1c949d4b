"""Samples of measured cases, written with results, read for closer analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from clients.store.decoding import Rows
from clients.store.engine import reading
from clients.store.read_models import Arm, StoredSamples
from clients.store.repository import Repository
from clients.store.schema.columns import utc_now
from clients.store.schema.tables import CaseSamples, TestCase
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_or_replace


async def write_samples(
    work: AsyncSession, execution_id: int, case_ids: Mapping[int, int | None], samples: Sequence[StoredSamples]
) -> None:
    """Store samples in the caller's transaction.

    `case_ids` maps each case index to the id of its row.
    """
    rows = [
        {
            "execution_id": execution_id,
            "test_case_id": case_ids[stored.case_index],
            "arm": stored.arm.value,
            "histogram": stored.histogram,
            "raw": stored.raw,
            "created_at": utc_now(),
        }
        for stored in samples
    ]
    await insert_or_replace(work, CaseSamples, rows, "execution_id", "test_case_id", "arm")


class Samples(Repository):
    """Repository of samples. Reading an unknown run returns nothing."""

    @uncancellable
    async def between(self, execution_id: int, first: int, end: int) -> Rows[StoredSamples]:
        """Return the samples of the cases with first <= index < end.

        They are ordered by case index; a control comes after its case.
        """
        index = col(TestCase.case_index)
        wanted = (
            select(CaseSamples, index)
            .join(TestCase, col(CaseSamples.test_case_id) == col(TestCase.id))
            .where(col(CaseSamples.execution_id) == execution_id, index >= first, index < end)
            .order_by(index, col(CaseSamples.arm))
        )
        async with reading(self._engine) as work:
            return self._damage.all(await work.execute(wanted), _samples)


def _samples(found: Any) -> StoredSamples:
    row, number = found
    return StoredSamples(case_index=number, arm=Arm(row.arm), histogram=row.histogram, raw=row.raw)
