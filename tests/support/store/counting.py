"""Row counts of a run, by table."""

from __future__ import annotations

from sqlalchemy import func, select

from clients.store.engine import reading
from clients.store.schema.tables import Row
from clients.store.store import Store


async def row_counts(store: Store, execution_id: int) -> dict[str, int]:
    """Count the rows of a run in every table that refers to runs. 0 for tables without a row."""
    counts = {}
    async with reading(store.engine) as work:
        for name, table in sorted(Row.metadata.tables.items()):
            mine = table.c.id if name == "task_execution" else table.c.get("execution_id")
            if mine is not None:
                wanted = select(func.count()).select_from(table).where(mine == execution_id)
                counts[name] = (await work.execute(wanted)).scalar_one()
    return counts
