"""Following a run that this process has started."""

from __future__ import annotations

import asyncio

from temporalio.client import Client

from cli.console import complain, say
from cli.ui.progress import Progress
from domain.executions.outcome import RunOutcome
from operations.processes.interrupts import Interrupts
from operations.runs.follow import Follower, Run, Say, mention_missing_worker, no_lines
from operations.web_ui import web_ui_page


def announce(client: Client, handle: Run, ui: str = "") -> None:
    """Print the accepted run's ids, and its page in the Web UI."""
    say(f"started {handle.id}, run {handle.run_id}")
    page = web_ui_page(client, handle, ui)
    if page:
        say(f"  {page}")


async def follow(client: Client, handle: Run, interrupts: Interrupts, queue: str, *, quiet: bool = False) -> RunOutcome:
    """Follow a run to its end, and mention a missing worker.

    Raises:
        Detached: the operator detached.
    """
    remark: Say = complain if quiet else say
    reminding = asyncio.create_task(mention_missing_worker(client, handle, queue, remark))
    try:
        return await Follower(client, handle, remark, no_lines if quiet else Progress().lines).follow(interrupts)
    finally:
        reminding.cancel()
        await asyncio.gather(reminding, return_exceptions=True)
