"""Server, lab and worker for a benchmark, as separate processes as in production, and their memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client

from clients.store.store import Store
from domain.addresses import address_of
from domain.names import WorkflowType, lock_workflow_id
from domain.resilience.model import ResilienceSummary
from lab import LabAddresses
from lab.generated.generate import Generated, generate_topology
from lab.generated.graphs import Shape
from lab.generated.plan_for import plan_for
from operations.connection import connect_quietly
from operations.processes.children import Child

PATIENCE = 120.0
_SEED = 3


@dataclass(frozen=True)
class Site:
    """A running server, lab and worker."""

    client: Client
    plan: dict[str, Any]
    store: Store
    queue: str
    worker: Child

    async def start(self, workflow_id: str, **more: Any) -> Any:
        """Start a run of the plan."""
        return await self.client.start_workflow(
            WorkflowType.RESILIENCE_TEST,
            {"plan": self.plan} | more,
            id=workflow_id,
            task_queue=self.queue,
            result_type=ResilienceSummary,
        )

    @property
    def lock_id(self) -> str:
        """Workflow id of the namespace's lock."""
        return lock_workflow_id(str(address_of(self.plan["system"]["faults"])), self.plan["system"]["namespace"])


@asynccontextmanager
async def site(
    services: int, load: dict[str, Any], worker_settings: Mapping[str, str] | None = None
) -> AsyncIterator[Site]:
    """Run a generated system with `services` services behind its entry. A request calls each of them once.

    `worker_settings` are variables of the worker alone.
    """
    system = generate_topology(Shape.TREE, services + 1, _SEED, weaknesses=0)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-bench-")))
        environment = _environment(folder)

        async def start(name: str, *arguments: str, more: Mapping[str, str] | None = None) -> Child:
            child = await Child.start(name, *arguments, folder=folder, environment=environment | dict(more or {}))
            stack.push_async_callback(child.stop)
            return child

        server = await start("server", "server", "--json", "--no-ui", "--database", str(folder / "temporal.db"))
        shape = f"{Shape.TREE.value}:{services + 1}"
        options = ("--generate", shape, "--seed", str(_SEED), "--weaknesses", "0")
        lab = await start("lab", "lab", "--json", "--free-ports", *options)
        environment["TEMPORAL_ADDRESS"] = (await server.ready(PATIENCE))["address"]
        addresses = LabAddresses.model_validate(await lab.ready(PATIENCE))
        store = await Store.open(environment["HOLDFAST_DATABASE_URL"])
        stack.push_async_callback(store.close)
        client = await connect_quietly(environment["TEMPORAL_ADDRESS"])
        worker = await start("worker", "worker", more=worker_settings)
        plan = _plan(system, addresses, load)
        yield Site(client, plan, store, environment["HOLDFAST_TASK_QUEUE"], worker)


def _environment(folder: Path) -> dict[str, str]:
    configures = ("TEMPORAL_", "HOLDFAST_", "OTEL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(configures)}
    (folder / "temporal.toml").touch()
    return kept | {
        "TEMPORAL_CONFIG_FILE": str(folder / "temporal.toml"),
        "HOLDFAST_DATABASE_URL": f"sqlite+aiosqlite:///{folder / 'holdfast.db'}",
        "HOLDFAST_TIMING": "fast",
        "HOLDFAST_TASK_QUEUE": "holdfast-bench",
        "HOLDFAST_SWEEPER": "false",
    }


def _plan(system: Generated, addresses: LabAddresses, load: dict[str, Any]) -> dict[str, Any]:
    plan = plan_for(system.topology, addresses)
    # No delays: each injection would wait for its delay, which is no cost of Holdfast.
    plan["services"] = [{"name": service["name"], "fault": "error"} for service in plan["services"]]
    return plan | {"load": load}


def family(pid: int) -> list[int]:
    """Return a process and its children. Children are found on Linux only, where the figures are taken."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [pid, *(int(child) for child in (children.read_text().split() if children.exists() else []))]


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    user, system = int(fields[11]), int(fields[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def peak(pid: int) -> int:
    """Return the peak memory of a process, in bytes."""
    return _from_status(pid, "VmHWM")


def memory(pid: int) -> int:
    """Return the memory of a process now, in bytes."""
    return _from_status(pid, "VmRSS")


def _from_status(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
