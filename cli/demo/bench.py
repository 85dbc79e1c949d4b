"""The demo's stage: server, lab and worker as child processes.

Each uses whatever ports are free.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from temporalio.client import Client

from cli.console import say
from cli.lab_topologies import SHOP_TOPOLOGY, moved_lab_ports, read_topology
from clients.local.private import FOLDER_MODE, private_folder
from clients.temporal.connection import has_pollers
from domain.guardrails.check import ALLOWED_HOSTS
from domain.names import TASK_QUEUE
from lab import LabAddresses
from operations.connection import connect_quietly
from operations.processes.children import Child

T = TypeVar("T")

START_PATIENCE = 90.0
"""Seconds each for server, worker and lab to come up. An idle machine needs one."""


@dataclass(frozen=True)
class Stage:
    """Everything that was started, and where it is."""

    folder: Path
    address: str
    ui: str
    lab: LabAddresses
    client: Client
    children: tuple[Child, ...]

    @property
    def database(self) -> Path:
        """The store of the demo's worker."""
        return self.folder / "holdfast.db"

    @property
    def database_url(self) -> str:
        """The URL of that store, for HOLDFAST_DATABASE_URL."""
        return f"sqlite+aiosqlite:///{self.database}"

    @property
    def history(self) -> Path:
        """The database of the demo's Temporal server."""
        return self.folder / "temporal.db"

    @property
    def report(self) -> Path:
        """The run's report, as an HTML page."""
        return self.folder / "report.html"

    @property
    def plan(self) -> Path:
        """The plan as it was run."""
        return self.folder / "shop.yaml"

    async def while_children_run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work that needs every child process.

        Raises:
            HoldfastError: a child has ended by itself. The error has the tail of its log.
        """
        work_task = asyncio.ensure_future(work)
        ends = [asyncio.ensure_future(child.wait_for_unexpected_end()) for child in self.children]
        try:
            await asyncio.wait({work_task, *ends}, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                if end.done() and not work_task.done():
                    raise end.result()
            return work_task.result()
        finally:
            for task in (work_task, *ends):
                task.cancel()
            await asyncio.gather(work_task, *ends, return_exceptions=True)


def next_folder(parent: Path) -> Path:
    """Create a folder `<parent>/<n>`, with the next n. Returns its absolute path."""
    private_folder(parent)
    number = 1 + max((int(path.name) for path in parent.iterdir() if path.name.isdecimal()), default=0)
    while True:
        folder = parent.absolute() / str(number)
        try:
            folder.mkdir(FOLDER_MODE)
        except FileExistsError:
            number += 1
        else:
            return folder


async def set_up(stack: AsyncExitStack, folder: Path) -> Stage:
    """Start server and lab side by side, then the worker.

    The stack ends them in reverse order.
    """
    environment = _environment(folder)
    database = str(folder / "temporal.db")
    server = await _start(stack, "server", "server", "--json", "--database", database, folder=folder, env=environment)
    lab = await _start(stack, "lab", "lab", "--json", folder=folder, env=environment)
    server_says, lab_says = await asyncio.gather(server.ready(START_PATIENCE), lab.ready(START_PATIENCE))
    addresses = LabAddresses.model_validate(lab_says)
    for moved in [*server_says["moved"], *moved_lab_ports(read_topology(SHOP_TOPOLOGY), addresses)]:
        say(f"  {moved}")
    environment["TEMPORAL_ADDRESS"] = server_says["address"]
    # Allow the lab's addresses explicitly, so that the demo also works where the lab cannot note them for workers.
    touched = (addresses.proxy, addresses.faults, *addresses.services.values())
    environment[ALLOWED_HOSTS] = ",".join(urlsplit(url).netloc for url in touched)
    worker = await _start(stack, "worker", "worker", folder=folder, env=environment)
    client = await connect_quietly(server_says["address"])
    await _until_polling(client, worker)
    say(f"  Temporal {server_says['address']}, Web UI {server_says['ui']}")
    say(f"  shop     {addresses.entry}/api/home, proxy {addresses.proxy}, fault service {addresses.faults}")
    return Stage(folder, server_says["address"], server_says["ui"], addresses, client, (server, lab, worker))


def _environment(folder: Path) -> dict[str, str]:
    """Return the children's environment, without settings for other servers or stores."""
    # An empty configuration file, so that this user's own profile is not read.
    configuration = folder / "temporal.toml"
    configuration.touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "HOLDFAST_"))}
    return kept | {
        "TEMPORAL_CONFIG_FILE": str(configuration),
        "HOLDFAST_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'holdfast.db'}",
        "HOLDFAST_TIMING": "fast",
        "HOLDFAST_TASK_QUEUE": TASK_QUEUE,
        # Its log is a file that a person reads when something goes wrong.
        "HOLDFAST_LOG_FORMAT": "text",
    }


async def _start(stack: AsyncExitStack, name: str, *arguments: str, folder: Path, env: dict[str, str]) -> Child:
    child = await Child.start(name, *arguments, folder=folder, environment=env)
    stack.push_async_callback(child.stop)
    return child


async def _until_polling(client: Client, worker: Child) -> None:
    clock = asyncio.get_running_loop().time
    end = clock() + START_PATIENCE
    while not await has_pollers(client, TASK_QUEUE):
        if worker.ended or clock() > end:
            raise worker.error_with_log("did not start")
        await asyncio.sleep(0.1)
