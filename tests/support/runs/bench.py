"""Workbench of an end-to-end test: a lab, a plan for it, a store to read, and ways to start and watch runs."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pytest
import yaml
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from clients.settings import Settings
from clients.store.store import Store
from clients.temporal.connection import lock_of_run
from domain.addresses import address_of
from domain.executions.windows import LockReport
from domain.guardrails.model import Guardrails
from domain.names import STATUS_QUERY, WorkflowType
from domain.resilience.model import Phase, ResilienceSummary
from domain.resilience.state import ResilienceState
from domain.timing import TimingPreset
from lab import Action, Endpoint, Instruction, Lab, Misbehaviour, Topology, load_topology
from lab.topology import Call
from tests.support.paths import ROOT
from tests.support.store.template import put_database
from worker import running

THIS_MACHINE = "127.0.0.1:1-65535"
"""Every port of this machine.

Workers do not know the labs of this process. Ports of Temporal are refused all the same.
"""
RAILS = Guardrails(hosts=[THIS_MACHINE])

PATIENCE = 150.0
"""Seconds until a condition counts as never coming true."""


ASK_EVERY = 0.1
"""Seconds between two questions to the Temporal server. More often, they take the processor from the runs that they ask
about."""


async def until(look: Callable[[], Awaitable[Any]], what: str, patience: float = PATIENCE, every: float = 0.05) -> Any:
    """Wait for a condition, checked `every` so many seconds.

    Fails with the condition's name if it never comes true.
    """
    end = asyncio.get_running_loop().time() + patience
    while asyncio.get_running_loop().time() < end:
        found = await look()
        if found:
            return found
        await asyncio.sleep(every)
    raise AssertionError(f"never happened: {what}")


def unseen(*services: str) -> Misbehaviour:
    """Hide these services at a proxy. Neither its analysis nor its single recordings have them."""
    refused = [
        Instruction(endpoint=Endpoint.RECORDING_START, action=Action.REFUSE_500, contains=f'"{name}"')
        for name in services
    ]
    return Misbehaviour(analysis_no_patterns_for=list(services), instructions=refused)


UNHURRIED = 3
"""How many times longer services wait than in the examples."""


def unhurried(topology: Topology, *, backoffs: float = UNHURRIED) -> Topology:
    """Return the same system with more patient services.

    They give up, and retry, only after `UNHURRIED` times as long.

    What a case costs is then so far from the limit, on either side, that no pause of a busy machine carries it across.
    """

    def waiting(call: Call) -> Call:
        return call.model_copy(update={"timeout": call.timeout * UNHURRIED, "backoff": call.backoff * backoffs})

    services = (
        service.model_copy(update={"calls": tuple(map(waiting, service.calls))}) for service in topology.services
    )
    return topology.model_copy(update={"services": tuple(services)})


def unhurried_example(name: str, *, backoffs: float = UNHURRIED) -> Topology:
    """Load one of the examples, unhurried. `backoffs`: how many times longer than there its services wait to retry."""
    return unhurried(load_topology(ROOT / "examples" / f"{name}-topology.yaml"), backoffs=backoffs)


def brisk_shop() -> Topology:
    """Return the shop for tests that judge no time: its services give up late, but retry at once.

    Most of a run of `unhurried` services is their back-offs. Without them no case of the shop is slow, so what must
    fail is a pair that answers with an error, such as `FAILING_PAIR`.
    """
    return unhurried_example("shop", backoffs=0)


FAILING_PAIR = ("bestsellers", "recommendations")
"""A pair of the shop that answers with an error; either of the two alone does no harm."""

STEADY_REQUESTS = 9
"""Requests without a baggage header beside the baseline's.

Three are sent before the run, three after it, three by the lock.
"""


OTHER = "-other"
"""Suffix of the task queue of a bench's second worker."""


class Bench:
    """One lab with everything around it. The task queue is its own, so that benches do not share workers."""

    def __init__(self, temporal: Client, lab: Lab, folder: Path, database_url: str = "") -> None:
        """Take a database, or make one: a file in the folder."""
        self.temporal = temporal
        self.lab = lab
        self.folder = folder
        self.name = f"shop-{uuid.uuid4().hex[:8]}"
        self.settings = Settings(
            database_url=database_url or put_database(folder / "holdfast.db"),
            timing=TimingPreset.FAST,
            task_queue=f"holdfast-{self.name}",
            sweeper=False,
            allowed_hosts=[THIS_MACHINE],
        )
        self._store: Store | None = None
        self._workers: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        self._store = await Store.open(self.settings.database_url)
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._workers:
            if process.returncode is None:
                process.terminate()
                await process.wait()
        await self._end_leftovers()
        await self.store.close()

    async def _end_leftovers(self) -> None:
        """Let no workflow outlive its bench.

        The lock bears the lab's address, and a later lab may get the same port.
        """
        queues = ", ".join(f"'{self.settings.task_queue}{suffix}'" for suffix in ("", OTHER))
        # The server may be gone by now, and a workflow may have ended since it was listed.
        with suppress(RPCError):
            async for workflow in self.temporal.list_workflows(
                f"TaskQueue IN ({queues}) AND ExecutionStatus = 'Running'"
            ):
                with suppress(RPCError):
                    await self.temporal.get_workflow_handle(workflow.id, run_id=workflow.run_id).terminate(
                        "the bench is gone"
                    )

    @property
    def store(self) -> Store:
        assert self._store is not None
        return self._store

    def plan(self, **changes: Any) -> dict[str, Any]:
        """Return the shop's plan, pointed at this lab; `changes` replace whole top-level parts."""
        plan = yaml.safe_load((ROOT / "examples" / "shop.yaml").read_text())
        addresses = self.lab.addresses
        plan["name"] = self.name
        plan["system"] |= {
            "proxy": addresses.proxy,
            "faults": addresses.faults,
            "services": addresses.services,
        }
        plan["request"]["url"] = f"{addresses.entry}/api/home"
        plan["load"] = {"requests": 2, "concurrency": 2}
        # Just below the cost of two unhurried back-offs.
        plan["slo"] = {"error_rate": "1%", "p95": "1750ms"}
        return copy.deepcopy(plan | changes)

    def small_plan(self, *services: str, **changes: Any) -> dict[str, Any]:
        """Return the shop's plan with only these services under test."""
        plan = self.plan()
        plan["services"] = [
            service for service in plan["services"] if service["name"] in (services or ("reviews", "shipping"))
        ]
        return plan | changes

    async def start(
        self, plan: dict[str, Any] | None = None, *, workflow_id: str = "", queue: str = "", **more: Any
    ) -> WorkflowHandle[Any, Any]:
        """Start a run as any other program would: by name, with one JSON object."""
        return await self.temporal.start_workflow(
            WorkflowType.RESILIENCE_TEST,
            {"plan": plan or self.plan()} | more,
            id=workflow_id or f"test/{self.name}",
            task_queue=queue or self.settings.task_queue,
            result_type=ResilienceSummary,
        )

    @asynccontextmanager
    async def other_settings(self, *, own_store: bool) -> AsyncIterator[str]:
        """Run a worker that has a different name for this lab.

        It therefore has a different lock. Yields its task queue.

        With the same store it is a worker with different configuration. With its own store it is a different
        installation.
        """
        address = str(address_of(self.lab.addresses.faults))
        changes: dict[str, Any] = {
            "task_queue": f"{self.settings.task_queue}{OTHER}",
            "environments": {address: f"again-{self.name}"},
        }
        if own_store:
            changes["database_url"] = f"sqlite+aiosqlite:///{self.folder}/other.db"
        settings = self.settings.model_copy(update=changes)
        async with running(self.temporal, settings):
            yield settings.task_queue

    async def run(self, plan: dict[str, Any] | None = None) -> ResilienceSummary:
        """Run from beginning to end, including the end of the lock."""
        handle = await self.start(plan)
        summary = await handle.result()
        await self.lock_ended(handle)
        assert isinstance(summary, ResilienceSummary)
        return summary

    async def status(self, handle: WorkflowHandle[Any, Any]) -> ResilienceState | None:
        """Query the state; None while the run has not begun."""
        try:
            return await handle.query(STATUS_QUERY, result_type=ResilienceState)
        except RPCError:
            return None
        except WorkflowQueryFailedError as error:
            # The SDK takes a worker short of CPU time for deadlocked. It answers the next query again.
            if "TMPRL1101" not in str(error):
                raise
            return None

    async def until_state(
        self, handle: WorkflowHandle[Any, Any], reached: Callable[[ResilienceState], object], what: str
    ) -> None:
        """Wait until the run's state is as wanted.

        Fails with the last state, and with what everything waits for.
        """
        seen: ResilienceState | None = None

        async def look() -> bool:
            nonlocal seen
            seen = await self.status(handle)
            return seen is not None and bool(reached(seen))

        try:
            await until(look, what, every=ASK_EVERY)
        except AssertionError as error:
            state = seen.model_dump_json(exclude_defaults=True) if seen else "no state"
            raise AssertionError(f"{error}\n{state}\n{await self._held_up(handle)}") from None

    async def until_phase(self, handle: WorkflowHandle[Any, Any], phase: Phase) -> None:
        """Wait until the run has entered a phase."""
        await self.until_state(
            handle, lambda state: any(entered.phase is phase for entered in state.phases), f"phase {phase}"
        )

    async def lock_ended(self, handle: WorkflowHandle[Any, Any], patience: float = PATIENCE) -> LockReport | None:
        """Wait for the end of a run's lock. None: the run never had a lock."""
        described = await handle.describe()
        lock = await lock_of_run(self.temporal, handle.id, described.run_id)
        if lock is None:
            return None
        try:
            async with asyncio.timeout(patience):
                return await lock.result()
        except TimeoutError:
            raise AssertionError(f"the lock never ended:\n{await self._held_up(handle, lock)}") from None

    async def cancelled(self, handle: WorkflowHandle[Any, Any]) -> LockReport:
        """Cancel a run and wait for its end and its lock's.

        Everything must be off, and reported as off.
        """
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        report = await self.lock_ended(handle)
        assert report is not None
        assert report.recovery_verified
        assert self.lab.state().clean
        return report

    async def _held_up(self, *handles: WorkflowHandle[Any, Any]) -> str:
        """Describe what everything waits for.

        The server lists what is pending; exit codes and the log show how far this bench's worker processes came.
        """
        lines = []
        for handle in handles:
            seen = (await handle.describe()).raw_description
            lines += [f"{handle.id}: {WorkflowExecutionStatus(seen.workflow_execution_info.status).name}"]
            lines += [f"  pending: {' '.join(str(activity).split())}" for activity in seen.pending_activities]
            lines += [f"  child: {child.workflow_id} {child.workflow_type_name}" for child in seen.pending_children]
            lines += [f"  task: {' '.join(str(seen.pending_workflow_task).split())}"]
        lines += [f"worker {process.pid}: exit {process.returncode}" for process in self._workers]
        log = self.folder / "worker.log"
        return "\n".join([*lines, *(log.read_text().splitlines()[-40:] if log.exists() else [])])

    async def until_clean(self) -> None:
        """Wait until nothing is on in the lab."""

        async def look() -> bool:
            return self.lab.state().clean

        await until(look, f"a clean lab: {self.lab.state()}")

    async def history_events(self, handle: WorkflowHandle[Any, Any]) -> int:
        """Count the events of one workflow."""
        return len([event async for event in handle.fetch_history_events()])

    async def worker(self, *, only: str = "", **environment: str) -> asyncio.subprocess.Process:
        """Start a worker process of this bench.

        It runs its load in a child process, or is only one part of a worker.
        """
        target = self.temporal.service_client.config.target_host
        with (self.folder / "worker.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *([str(ROOT / "starter.py"), "worker", "--only", only] if only else [str(ROOT / "worker.py")]),
                cwd=self.folder,
                env=os.environ
                | {
                    "TEMPORAL_ADDRESS": target,
                    "HOLDFAST_DATABASE_URL": self.settings.database_url,
                    "HOLDFAST_TIMING": "fast",
                    "HOLDFAST_TASK_QUEUE": self.settings.task_queue,
                    "HOLDFAST_SWEEPER": "false",
                    "HOLDFAST_ALLOWED_HOSTS": THIS_MACHINE,
                }
                | environment,
                stderr=log,
            )
        self._workers.append(process)
        return process

    def for_commands(self) -> dict[str, str]:
        """Return the variables by which a `holdfast` command works on this bench, and on nothing else."""
        (self.folder / "temporal.toml").touch()
        return {
            "TEMPORAL_ADDRESS": self.temporal.service_client.config.target_host,
            "TEMPORAL_CONFIG_FILE": str(self.folder / "temporal.toml"),
            "HOLDFAST_DATABASE_URL": self.settings.database_url,
            "HOLDFAST_TASK_QUEUE": self.settings.task_queue,
        }

    def write_input(self, content: Any) -> Path:
        """Write a file for `--input-file`."""
        path = self.folder / "run.json"
        path.write_text(json.dumps(content))
        return path
