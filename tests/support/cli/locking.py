"""Wait until a run has something to put back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from tests.support.cli.terminal import PATIENCE


async def until_locked(client: Client, run: WorkflowHandle[Any, Any]) -> None:
    """Wait until a run holds its namespace: from then on there is something to recover."""
    lock = client.get_workflow_handle(f"environment/{run.first_execution_run_id}")
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(RPCError):
                await lock.describe()
                return
            await asyncio.sleep(0.05)
