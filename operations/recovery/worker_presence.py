"""Detect that no worker serves a workflow.

The server's list of workers does not help: it still shows a killed worker for minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from clients.temporal.runs import RunDirectory

UNATTENDED = 20.0
"""Seconds without a worker before a workflow counts as unattended.

When a worker dies, the server needs 10 s to offer its workflow task to another worker.
"""


class WorkerPresence:
    """Watches a few workflows over repeated checks."""

    def __init__(self, runs: RunDirectory, patience: float = UNATTENDED) -> None:
        self._runs = runs
        self._patience = patience
        self._waiting_since: float | None = None

    async def is_missing(self, workflows: Sequence[tuple[str, str]]) -> bool:
        """Return whether workers have been missing for the whole patience.

        `workflows` are pairs of workflow id and run id. Workers are missing if every check in that time found at least
        one of the workflows waiting.
        """
        waiting = [await self._runs.waits_for_worker(workflow_id, run_id) for workflow_id, run_id in workflows]
        now = asyncio.get_running_loop().time()
        if not any(waiting):
            self._waiting_since = None
            return False
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since >= self._patience
