"""Repository of how a run went: its phases, its steady state, and which pairs it verified."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from clients.store.engine import reading, writing
from clients.store.repositories.ended import has_ended
from clients.store.repository import Repository
from clients.store.schema.columns import utc_now
from clients.store.schema.progress_tables import PairChoiceRow, PhaseRow, SteadyRow
from clients.store.uncancellable import uncancellable
from clients.store.upsert import insert_missing, insert_or_replace
from domain.measuring.steady_report import SteadyMoment, SteadyReport
from domain.pairs.fidelity import PairChoice
from domain.resilience.model import Phase


async def note_phase(work: AsyncSession, execution_id: int, phase: Phase) -> bool:
    """Store when a run entered a phase; of several times the first stays. False: it had been in this phase before."""
    row = {"execution_id": execution_id, "phase": phase.value, "entered_at": utc_now()}
    return await insert_missing(work, PhaseRow, [row], "execution_id", "phase")


class Progress(Repository):
    """Repository of phases, steady states and choices of pairs.

    All methods read as empty for an unknown run.
    """

    @uncancellable
    async def phases(self, execution_id: int) -> list[tuple[Phase, datetime]]:
        """Return the phases that a run entered, in order, with the time of each."""
        wanted = (
            select(PhaseRow)
            .where(col(PhaseRow.execution_id) == execution_id)
            .order_by(col(PhaseRow.entered_at), col(PhaseRow.id))
        )
        async with reading(self._engine) as work:
            return list(self._damage.all((await work.execute(wanted)).scalars(), _phase))

    async def save_steady(self, execution_id: int, moment: SteadyMoment, report: SteadyReport) -> None:
        """Store the result of a check; a repetition replaces it. For a run that has ended nothing is stored."""
        facts = {"met": report.met, "detail": self._cleaned(report.detail), "created_at": utc_now()}
        await self._replace(SteadyRow, {"execution_id": execution_id, "moment": moment.value, **facts}, "moment")

    @uncancellable
    async def steady(self, execution_id: int) -> dict[SteadyMoment, SteadyReport]:
        """Return the checks of a run's steady state."""
        wanted = select(SteadyRow).where(col(SteadyRow.execution_id) == execution_id)
        async with reading(self._engine) as work:
            return dict(self._damage.all((await work.execute(wanted)).scalars(), _steady))

    async def save_pair_choice(self, execution_id: int, choice: PairChoice) -> None:
        """Store which pairs a run verifies; a repetition replaces it. For a run that has ended nothing is stored."""
        row = {"execution_id": execution_id, **choice.model_dump(), "created_at": utc_now()}
        await self._replace(PairChoiceRow, row)

    @uncancellable
    async def pair_choice(self, execution_id: int) -> PairChoice | None:
        """Return which pairs a run verifies; None if it chose none."""
        wanted = select(PairChoiceRow).where(col(PairChoiceRow.execution_id) == execution_id)
        async with reading(self._engine) as work:
            found = self._damage.all((await work.execute(wanted)).scalars(), _choice)
        return found[0] if found else None

    @uncancellable
    async def _replace(self, table: Any, row: dict[str, Any], *more_key: str) -> None:
        async with writing(self._engine) as work:
            if not await has_ended(work, row["execution_id"]):
                await insert_or_replace(work, table, [row], "execution_id", *more_key)


def _phase(row: PhaseRow) -> tuple[Phase, datetime]:
    return Phase(row.phase), row.entered_at


def _steady(row: SteadyRow) -> tuple[SteadyMoment, SteadyReport]:
    return SteadyMoment(row.moment), SteadyReport(met=row.met, detail=row.detail)


def _choice(row: PairChoiceRow) -> PairChoice:
    return PairChoice(asked_for=row.asked_for, share=row.share, measured=row.measured, chosen=row.chosen)
