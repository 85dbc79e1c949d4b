"""How things stand, for the gauges: what is on, what is past its time, which executions are going on."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from activities.toolbox import Toolbox
from domain.errors import HoldfastError
from domain.kinds import kinds
from domain.timing import Timing

POLLS = 5
"""Intervals of `Timing.poll` between two looks at the store: 5 s. Prometheus usually scrapes every 15."""

logger = logging.getLogger("holdfast.metrics")


@asynccontextmanager
async def standing(tools: Toolbox, timing: Timing) -> AsyncIterator[None]:
    """Keep the gauges as the store says, inside the block."""

    async def keep() -> None:
        while True:
            try:
                await look(tools)
            except HoldfastError as error:
                tools.metrics.failed(error)
                logger.warning("the gauges are old: %s", error)
            except Exception:
                # A defect of ours must not end this task unseen: the gauges would stay as they are for ever.
                logger.exception("the gauges are old")
            await asyncio.sleep(POLLS * timing.poll.total_seconds())

    tools.metrics.begin([kind.name for kind in kinds()])
    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


async def look(tools: Toolbox) -> None:
    """Set the gauges once.

    Raises:
        HoldfastError: the store cannot be read.
    """
    unsettled = await tools.store.ledger.unsettled()
    running = Counter(await tools.store.executions.kinds_under_way())
    tools.metrics.stand(unsettled, running, [kind.name for kind in kinds()])
