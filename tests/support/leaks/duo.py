"""The smallest system with a pair in it: an entry and two services, small enough to enumerate everything.

Without the left service the entry asks the right service under a path that healthy traffic never uses, and when that
fails as well, under a third path. A run therefore has three rounds of discovery, and two real faults at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from domain.names import WorkflowType
from domain.resilience.model import ResilienceSummary
from lab import Kind, Lab, LabSettings, Topology
from tests.support.paths import ROOT
from tests.support.runs.bench import ASK_EVERY, THIS_MACHINE, Bench, until

PATIENCE = 150
"""Seconds until a place counts as never reached.

Workers are processes, and several are started at once.
"""

LEFT, RIGHT = "left", "right"
REQUESTS = 2
"""Requests per case."""

TOPOLOGY = Topology.model_validate(
    {
        "namespace": "duo",
        "entry": "front",
        "services": [
            {
                "name": "front",
                "routes": [{"path": "/api/page", "body": {"page": "front"}}],
                "calls": [
                    {
                        "service": LEFT,
                        "path": "/api/left",
                        "timeout": "3s",
                        "fallbacks": [
                            {"service": RIGHT, "path": "/api/spare"},
                            {"service": RIGHT, "path": "/api/last"},
                        ],
                    },
                    {"service": RIGHT, "path": "/api/right", "timeout": "3s", "fallback": {"source": "fallback"}},
                ],
                # Planted weakness: the page can do without either service, but not without both.
                "needs_one_of": [[LEFT, RIGHT]],
            },
            {"name": LEFT, "routes": [{"path": "/api/left", "body": {"side": LEFT}}]},
            {
                "name": RIGHT,
                "routes": [
                    {"path": "/api/right", "body": {"side": RIGHT}},
                    {"path": "/api/spare", "body": {"side": RIGHT}},
                    {"path": "/api/last", "body": {"side": RIGHT}},
                ],
            },
        ],
    }
)

FAULTS = 2
"""Faults at once: those of its pair, which discovery breaks for real."""

ONCE = {Kind.RECORDING: 2, Kind.FAULT: 4}
"""How often something comes on in one of its services.

Faults: its own, that of the pair, and one more for the calls that each of these showed.
"""

TOKENS = ["", "chaos.left.remove=1", "chaos.right.error=1", "chaos.left.remove=1,chaos.right.error=1"]
"""The baggage headers of its four cases.

The first is that of the baseline and of the steady state.
"""

BRISK = LabSettings(
    rollout=0.1, fault_start=0.1, fault_stop=0.1, execute_wait=0.02, collect=30, collect_quiet=0.8, replay_timeout=2
)
"""Fast settings for this system.

Its proxy, like the real proxy, waits for traffic longer than it takes to notice that a worker has died.
"""

PATIENT = BRISK.model_copy(update={"dedupe_seconds": 9.0})
"""Like BRISK, with a proxy that remembers equal analyses longer.

It remembers them for as long as Holdfast relies on.

Of no use where a second run is to follow at once.
"""

MOST_PATIENT = PATIENT.model_copy(update={"collect": 120.0})
"""Like PATIENT, with a proxy that waits for traffic while several workers die."""


PAIR = "3"
"""The case index of its pair. It ends the names of that pair's real faults."""


class Duo(Bench):
    """Bench for this system, whose workers allow a pair with two real faults."""

    def __init__(self, temporal: Client, lab: Lab, folder: Path, database_url: str = "") -> None:
        super().__init__(temporal, lab, folder, database_url)
        self.settings = self.settings.model_copy(update={"max_active_faults": FAULTS})

    def plan(self, **changes: Any) -> dict[str, Any]:
        """Return a plan that breaks both services.

        One fails by removal, the other by errors. No case is judged by how long it takes.
        """
        addresses = self.lab.addresses
        plan = {
            "name": self.name,
            "system": {
                "namespace": "duo",
                "proxy": addresses.proxy,
                "faults": addresses.faults,
                "services": addresses.services,
                "stability": {"kind": "http", "path": "/health"},
            },
            "request": {"url": f"{addresses.entry}/api/page", "timeout": "9s"},
            "services": [{"name": LEFT, "fault": "remove"}, {"name": RIGHT, "fault": "error"}],
            "load": {"requests": REQUESTS, "concurrency": 2},
            "slo": {"error_rate": "1%"},
            # Never trips, because the entry is not touched. It makes watching a part of the run.
            "stop": {"health": {"url": f"{addresses.entry}/health"}},
        }
        return plan | changes

    async def start_limited(self, plan: dict[str, Any], limit: timedelta | None) -> WorkflowHandle[Any, Any]:
        """Start a run that the server ends after this time."""
        return await self.temporal.start_workflow(
            WorkflowType.RESILIENCE_TEST,
            {"plan": plan},
            id=f"test/{self.name}",
            task_queue=self.settings.task_queue,
            execution_timeout=limit,
            result_type=ResilienceSummary,
        )

    @property
    def worker_environment(self) -> dict[str, str]:
        """Environment of a worker process with the bench's settings."""
        return os.environ | {
            "TEMPORAL_ADDRESS": self.temporal.service_client.config.target_host,
            "HOLDFAST_DATABASE_URL": self.settings.database_url,
            "HOLDFAST_TIMING": "fast",
            "HOLDFAST_TASK_QUEUE": self.settings.task_queue,
            "HOLDFAST_SWEEPER": "false",
            "HOLDFAST_ALLOWED_HOSTS": THIS_MACHINE,
            "HOLDFAST_MAX_ACTIVE_FAULTS": str(self.settings.max_active_faults),
            # Many workers are started, so their bytecode is kept, even where the environment disables that.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": sys.pycache_prefix or "",
        }

    async def dying_worker(self, *where: str) -> asyncio.subprocess.Process:
        """Start a worker process that kills itself at a place (`dying_worker.py`)."""
        with (self.folder / "dying.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.support.leaks.dying_worker",
                *where,
                cwd=ROOT,
                env=self.worker_environment,
                stderr=log,
            )
        self._workers.append(process)
        return process

    async def until_polled(self) -> None:
        """Wait until a worker is there.

        A process takes seconds to start, and a run's time limit would count them.
        """
        request = DescribeTaskQueueRequest(
            namespace=self.temporal.namespace,
            task_queue=TaskQueue(name=self.settings.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )

        async def polled() -> bool:
            # A busy server cancels one of its own calls at times, and answers the next.
            with suppress(RPCError):
                return bool((await self.temporal.workflow_service.describe_task_queue(request)).pollers)
            return False

        await until(polled, f"a worker on {self.settings.task_queue}", PATIENCE, every=ASK_EVERY)

    @property
    def said(self) -> str:
        """What its dying workers wrote."""
        log = self.folder / "dying.log"
        return log.read_text() if log.exists() else ""
