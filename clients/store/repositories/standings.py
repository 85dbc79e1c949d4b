"""State of an execution for a permit, read in one transaction.

A permit must not combine facts from two moments.
"""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlmodel import col

from clients.store.engine import reading
from clients.store.repositories.ended import unknown_execution
from clients.store.repositories.halting import halt_of
from clients.store.repositories.ledger import entries_in
from clients.store.repository import Repository
from clients.store.schema.tables import Ledger, TaskExecution
from clients.store.uncancellable import uncancellable
from domain.executions.permit_facts import Standing
from domain.executions.windows import SETTLED, LedgerState, WindowKind

_UNSETTLED = [state.value for state in LedgerState if state not in SETTLED]
"""The unsettled states, listed so that the index on `state` applies.

It finds the few unsettled rows among years of settled ones.
"""


class Standings(Repository):
    """Read-only repository of standings. It does not need a readable plan."""

    @uncancellable
    async def of(self, execution_id: int) -> Standing:
        """Read an execution, the relevant unsettled windows, and the halt.

        The windows are those of the execution, and every unsettled lock of any execution.

        Raises:
            HoldfastError: NOT_FOUND for an unknown execution.
        """
        run = select(col(TaskExecution.workflow_id), col(TaskExecution.run_id), col(TaskExecution.finished_at)).where(
            col(TaskExecution.id) == execution_id
        )
        unsettled = (
            select(Ledger)
            .where(
                col(Ledger.state).in_(_UNSETTLED),
                or_(col(Ledger.execution_id) == execution_id, col(Ledger.kind) == WindowKind.LOCK.value),
            )
            .order_by(col(Ledger.created_at), col(Ledger.window_id))
        )
        async with reading(self._engine) as work:
            found = (await work.execute(run)).first()
            if found is None:
                raise unknown_execution(execution_id)
            rows = entries_in((await work.execute(unsettled)).scalars(), self._damage, may_be_on=True)
            halt = await halt_of(work, self._damage)
        workflow_id, run_id, finished_at = found
        return Standing(
            execution_id=execution_id,
            workflow_id=workflow_id,
            run_id=run_id,
            ended=finished_at is not None,
            rows=[row for row in rows if row.execution_id == execution_id],
            locks=[row for row in rows if row.kind is WindowKind.LOCK],
            halted=str(halt) if halt else "",
        )
