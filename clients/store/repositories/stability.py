"""Repository of how long services took to be stable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from clients.store.engine import reading, writing
from clients.store.repositories.ended import has_ended
from clients.store.repository import Repository
from clients.store.schema.columns import utc_now
from clients.store.schema.stability_tables import StabilityRow
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_or_replace
from domain.executions.windows import ServiceStability, StabilityMoment


class StabilityRows(Repository):
    """Repository of waits; per run, moment and service the last stays."""

    @uncancellable
    async def save(self, execution_id: int, moment: StabilityMoment, found: Sequence[ServiceStability]) -> None:
        """Store the results of the waits of a moment.

        A repeated wait replaces the earlier result, as it does in the run's status. For a run that has ended, nothing
        is stored and nothing is raised, because closing must not fail here.
        """
        rows = [_row(execution_id, moment, service) for service in found]
        async with writing(self._engine) as work:
            if await has_ended(work, execution_id):
                return
            await insert_or_replace(work, StabilityRow, rows, "execution_id", "moment", "service_name")

    @uncancellable
    async def of(self, execution_id: int) -> dict[StabilityMoment, list[ServiceStability]]:
        """Return every wait of a run, in the order of first storage.

        Empty for an unknown run.
        """
        wanted = (
            select(StabilityRow).where(col(StabilityRow.execution_id) == execution_id).order_by(col(StabilityRow.id))
        )
        found: dict[StabilityMoment, list[ServiceStability]] = {}
        async with reading(self._engine) as work:
            rows = self._damage.all((await work.execute(wanted)).scalars(), _moment)
        for moment, service in rows:
            found.setdefault(moment, []).append(service)
        return found


def _row(execution_id: int, moment: StabilityMoment, found: ServiceStability) -> dict[str, Any]:
    return {
        "execution_id": execution_id,
        "moment": moment.value,
        "service_name": found.service,
        "stable": found.stable,
        "waited_ms": round(found.waited_seconds * 1000),
        "detail": found.detail,
        "created_at": utc_now(),
    }


def _moment(row: StabilityRow) -> tuple[StabilityMoment, ServiceStability]:
    return StabilityMoment(row.moment), _stability(row)


def _stability(row: StabilityRow) -> ServiceStability:
    return ServiceStability(
        service=row.service_name, stable=row.stable, waited_seconds=row.waited_ms / 1000, detail=row.detail
    )
