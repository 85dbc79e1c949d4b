"""Whether any worker carries out what a workflow has to do. The server itself lists a killed worker for minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from clients.temporal.runs import RunDirectory

UNATTENDED = 20.0
"""Seconds after which something that no worker takes up counts as unattended. After its worker's death the server needs
ten to offer a workflow's task to another one."""


class Attendance:
    """Watches a few workflows over many looks."""

    def __init__(self, runs: RunDirectory, patience: float = UNATTENDED) -> None:
        self._runs = runs
        self._patience = patience
        self._waiting_since: float | None = None

    async def is_missing(self, workflows: Sequence[tuple[str, str]]) -> bool:
        """Whether one of them (workflow id, run id) has been waiting for a worker in every look for all that time."""
        waiting = [await self._runs.waits_for_worker(workflow_id, run_id) for workflow_id, run_id in workflows]
        now = asyncio.get_running_loop().time()
        if not any(waiting):
            self._waiting_since = None
            return False
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since >= self._patience
