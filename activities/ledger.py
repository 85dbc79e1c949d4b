"""The ledger of windows: intent is written before the act, and only a verified end settles a row."""

from __future__ import annotations

from temporalio import activity

from activities.base import step
from activities.toolbox import Toolbox
from workflows.contracts.windows import LedgerEntry, LedgerUpdate


class LedgerActivities:
    """Writes to the ledger."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    @activity.defn(name="record_intent")
    @step
    async def record_intent(self, entry: LedgerEntry) -> None:
        """Write that a window is about to open something. A repetition leaves one row."""
        await self._tools.store.ledger_intent(entry)

    @activity.defn(name="update_ledger")
    @step
    async def update_ledger(self, update: LedgerUpdate) -> None:
        """Move a row forward; a settled row stays settled."""
        await self._tools.store.ledger_update(update)
