"""Record the histories that `test_histories.py` replays: `make histories`.

Run it again only if a workflow was changed, on purpose, in a way that runs under way do not survive: see
docs/architecture.md, "Changing a workflow". Everything that names the machine is left out of the files.

`python -m tests.support.histories.record calls` records only the histories of runs that discover fallback calls. It
leaves all others as they are: they are of runs from before discovery existed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from domain import names
from domain.executions.execution import Execution
from domain.names import WorkflowType
from domain.resilience.state import ResilienceState
from lab import Lab, LabSettings, PortChoice, load_topology
from lab.misbehaviour.misbehave import Action, Instruction, Misbehaviour
from lab.misbehaviour.names import Endpoint
from tests.support.leaks.duo import LEFT, PAIR, RIGHT, TOPOLOGY, Duo
from tests.support.paths import ROOT
from tests.support.runs.bench import Bench, until
from worker import running

FOLDER = ROOT / "tests" / "histories" / "recorded"
TEMPORAL = Path(sys.executable).with_name("temporal")
SERVICE = "reviews"
"""The broken service whose fault window is kept."""

SEVERAL = 2
"""Faults at once in the run that has several."""

HALF_OPEN = {
    "lock-closing": (WorkflowType.ENVIRONMENT_LOCK, "verify_environment"),
    "recording-open": (WorkflowType.RECORDING_WINDOW, "await_patterns"),
    "recording-closing": (WorkflowType.RECORDING_WINDOW, "stop_recordings"),
    "fault-open": (WorkflowType.FAULT_WINDOW, "replay_and_capture"),
    "fault-closing": (WorkflowType.FAULT_WINDOW, "recover_fault"),
    "rules-open": (WorkflowType.RULES_WINDOW, WorkflowType.LOAD_PAGE),
    "rules-closing": (WorkflowType.RULES_WINDOW, "remove_rules"),
    "page-open": (WorkflowType.LOAD_PAGE, "measure_batch"),
    "pairs-open": (WorkflowType.PAIRS_WINDOW, "compare_pair"),
    "run-open": (WorkflowType.RESILIENCE_TEST, WorkflowType.RULES_WINDOW),
}
"""The workflow whose history is taken, and the activity or child under way in it at that moment."""

KEPT_OF_FINISHED = set(WorkflowType) - {WorkflowType.SWEEPER, WorkflowType.PAIRS_WINDOW, WorkflowType.CALLS_WINDOW}
"""Kept of a run from before calls were recorded."""

KEPT_OF_VERIFIED = (WorkflowType.RESILIENCE_TEST, WorkflowType.PAIRS_WINDOW)
"""Kept of a run that verifies pairs. Its other windows behave like those of a finished run."""

KEPT_OF_UNFINISHED = (WorkflowType.RESILIENCE_TEST, WorkflowType.ENVIRONMENT_LOCK, WorkflowType.RULES_WINDOW)
"""Kept of a failed or cancelled run. Its earlier windows have the same histories as those of a finished run."""

UNHURRIED = LabSettings(rollout=0.4, fault_start=0.4, fault_stop=0.4, collect=20, collect_quiet=0.8, replay_timeout=1)
"""A lab in which every step takes long enough to be seen half done."""

_BEGUN = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED,
}
_GOING_ON = {EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED, EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED}


async def main(only: str) -> None:
    """Record real runs on a real server: all histories, or only those whose names begin with `only`."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob(f"{only}*.json"):
        old.unlink()
    async with await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=str(TEMPORAL) if TEMPORAL.exists() else None,
        dev_server_log_level="error",
    ) as server:
        await record_calls(server.client)
        await record_calls_cancelled(server.client)
        if only:
            return
        await record_finished(server.client)
        await record_failed(server.client)
        await record_cancelled(server.client)
        await record_several(server.client)
        await record_verified(server.client)
        await record_half_open(server.client)


CALLS_HALF_OPEN = {
    "starting": ("calls", WorkflowType.CALLS_WINDOW, "start_recordings"),
    "closing": ("calls", WorkflowType.CALLS_WINDOW, "stop_recordings"),
    "asking": (f"fault/{LEFT}", WorkflowType.FAULT_WINDOW, "ask_broken"),
    "capturing": (f"fault/{RIGHT}/2", WorkflowType.FAULT_WINDOW, "capture_calls"),
    "asking-pair": ("pairs/0", WorkflowType.PAIRS_WINDOW, "ask_broken"),
    "pair-fault": (f"pair/{PAIR}/{LEFT}", WorkflowType.FAULT_WINDOW, "await_fault_running"),
    "breaking": ("", WorkflowType.RESILIENCE_TEST, WorkflowType.FAULT_WINDOW),
    "reading": ("", WorkflowType.RESILIENCE_TEST, "read_calls"),
    "asking-run": ("", WorkflowType.RESILIENCE_TEST, WorkflowType.PAIRS_WINDOW),
}
"""The workflow whose history is taken in a run that discovers fallback calls, and what is under way in it then.

An empty id stands for the run itself. A window's id is given as `window_id` reads it.
"""

CALLS_FINISHED = {
    "ResilienceTest": "",
    "CallsWindow": "calls",
    "FaultWindow": f"fault/{LEFT}",
    "FaultWindow-2": f"fault/{RIGHT}/2",
    "FaultWindow-3": f"fault/{RIGHT}/3",
    "FaultWindow-pair": f"pair/{PAIR}/{LEFT}",
    "PairsWindow": "pairs/0",
}
"""Histories kept of a finished run that discovers fallback calls, with the ids of their workflows."""

TAKING_TIME = [
    Instruction(endpoint=endpoint, action=Action.SLOW, seconds=0.5)
    for endpoint in (Endpoint.FAULT_STATUS, Endpoint.RECORDING_ENTRIES)
]


@asynccontextmanager
async def two_services(client: Client) -> AsyncIterator[Duo]:
    """Run a slow system with fallback calls, and a worker that allows two faults."""
    with tempfile.TemporaryDirectory() as folder:
        async with Lab(TOPOLOGY, settings=UNHURRIED, ports=PortChoice.FREE) as lab:
            lab.misbehave(Misbehaviour(instructions=TAKING_TIME))
            bench = Duo(client, lab, Path(folder))
            async with running(client, bench.settings), bench:
                yield bench


def window_id(execution: Execution, short: str) -> str:
    """Return the workflow id of a window whose short form lacks its run's number."""
    kind, _, rest = short.partition("/")
    return f"{kind}/{execution.execution_id}" + (f"/{rest}" if rest else "")


async def record_calls(client: Client) -> None:
    """Record three rounds of discovery and two faults at once: whole, and at each moment."""
    async with two_services(client) as bench:
        handle = await bench.start()
        execution = await execution_of(bench, handle)

        def full(short: str) -> str:
            return window_id(execution, short) if short else handle.id

        moments = CALLS_HALF_OPEN.items()
        await asyncio.gather(
            *(keep_moment(client, full(short), moment, what, "calls-half") for moment, (short, _, what) in moments)
        )
        await handle.result()
        await bench.lock_ended(handle)
        for name, short in CALLS_FINISHED.items():
            keep(f"calls-finished-{name}", await client.get_workflow_handle(full(short)).fetch_history())


async def record_calls_cancelled(client: Client) -> None:
    """Record a run that is cancelled while two faults are on and calls are recorded."""
    async with two_services(client) as bench:
        handle = await bench.start()
        execution = await execution_of(bench, handle)
        await moment_of(client, window_id(execution, "pairs/0"), "ask_broken")
        await handle.cancel()
        with suppress(WorkflowFailureError):
            await handle.result()
        await bench.lock_ended(handle)
        kept = {"ResilienceTest": handle.id} | {
            name: window_id(execution, CALLS_FINISHED[name])
            for name in ("CallsWindow", "PairsWindow", "FaultWindow-pair")
        }
        for name, workflow_id in kept.items():
            keep(f"calls-cancelled-{name}", await client.get_workflow_handle(workflow_id).fetch_history())


@asynccontextmanager
async def shop(client: Client, misbehaviour: Misbehaviour | None = None) -> AsyncIterator[Bench]:
    """Run a slow shop, and a worker."""
    topology = load_topology(ROOT / "examples" / "shop-topology.yaml")
    with tempfile.TemporaryDirectory() as folder:
        async with Lab(topology, settings=UNHURRIED, ports=PortChoice.FREE) as lab:
            lab.misbehave(misbehaviour or Misbehaviour())
            bench = Bench(client, lab, Path(folder))
            bench.settings = bench.settings.model_copy(update={"max_active_faults": SEVERAL})
            async with running(client, bench.settings), bench:
                yield bench


async def record_finished(client: Client) -> None:
    """Record a run with every case measured."""
    async with shop(client) as bench:
        handle = await bench.start(bench.small_plan(load={"requests": 1}))
        await handle.result()
        await keep_all(bench, handle, "finished", tuple(KEPT_OF_FINISHED))


async def record_failed(client: Client) -> None:
    """Record a run whose rules the proxy refuses."""
    refusal = Instruction(endpoint=Endpoint.UPSERT, action=Action.REFUSE_500)
    async with shop(client, Misbehaviour(instructions=[refusal])) as bench:
        handle = await bench.start(bench.small_plan())
        with suppress(WorkflowFailureError):
            await handle.result()
        await keep_all(bench, handle, "failed", KEPT_OF_UNFINISHED)


async def record_cancelled(client: Client) -> None:
    """Record a run that is cancelled during the load test."""
    async with shop(client) as bench:
        handle = await bench.start(bench.small_plan(load={"requests": 40, "concurrency": 1}))
        await moment_of(client, (await ids_of(bench, handle))[WorkflowType.LOAD_PAGE], "measure_batch")
        await handle.cancel()
        with suppress(WorkflowFailureError):
            await handle.result()
        await keep_all(bench, handle, "cancelled", KEPT_OF_UNFINISHED)


async def record_several(client: Client) -> None:
    """Record a run with several faults at once, in which a service has to wait for its caller."""
    async with shop(client) as bench:
        plan = bench.plan(load={"requests": 1}, exclude=["*+*"], safety={"max_active_faults": SEVERAL})
        for service in plan["services"]:
            service["calls"] = ["inventory"] if service["name"] == "recommendations" else []
        handle = await bench.start(plan)
        await handle.result()
        await keep_all(bench, handle, "several", (WorkflowType.RESILIENCE_TEST,))


async def record_verified(client: Client) -> None:
    """Record a run that verifies a pair with two real faults."""
    async with shop(client) as bench:
        handle = await bench.start(bench.small_plan(load={"requests": 1}), verify_pairs="100%")
        await handle.result()
        await keep_all(bench, handle, "verified", KEPT_OF_VERIFIED)


async def record_half_open(client: Client) -> None:
    """Record every window while it holds something open, and while it closes it."""
    async with shop(client) as bench:
        handle = await bench.start(bench.small_plan(load={"requests": 10, "concurrency": 1}), verify_pairs="100%")
        workflow_ids = await ids_of(bench, handle)
        await asyncio.gather(
            keep_held_lock(client, workflow_ids),
            *(keep_moment(client, workflow_ids[kind], moment, what) for moment, (kind, what) in HALF_OPEN.items()),
        )
        await handle.result()
        await bench.lock_ended(handle)


async def execution_of(bench: Bench, handle: WorkflowHandle[Any, Any]) -> Execution:
    """Return the record of a run, as soon as there is one."""

    async def look() -> ResilienceState | None:
        state = await bench.status(handle)
        return state if state is not None and state.execution_id is not None else None

    state: ResilienceState = await until(look, "a record of the run")
    assert state.execution_id is not None
    return await bench.store.executions.get(state.execution_id)


async def ids_of(bench: Bench, handle: WorkflowHandle[Any, Any]) -> dict[WorkflowType, str]:
    """Return the workflow ids of a run and its windows."""
    execution = await execution_of(bench, handle)
    return {
        WorkflowType.RESILIENCE_TEST: handle.id,
        WorkflowType.ENVIRONMENT_LOCK: names.lock_workflow_id(execution.environment, execution.namespace),
        WorkflowType.RECORDING_WINDOW: names.recording_workflow_id(execution),
        WorkflowType.FAULT_WINDOW: names.fault_workflow_id(execution, SERVICE),
        WorkflowType.RULES_WINDOW: names.rules_workflow_id(execution),
        WorkflowType.LOAD_PAGE: names.page_workflow_id(execution, 0),
        WorkflowType.PAIRS_WINDOW: names.pairs_workflow_id(execution, 0),
    }


async def keep_all(bench: Bench, handle: WorkflowHandle[Any, Any], how: str, kinds: tuple[WorkflowType, ...]) -> None:
    """Keep the histories of a run and of windows of it, after its lock has ended."""
    await bench.lock_ended(handle)
    for kind, workflow_id in (await ids_of(bench, handle)).items():
        if kind in kinds:
            keep(f"{how}-{kind}", await bench.temporal.get_workflow_handle(workflow_id).fetch_history())


async def keep_moment(client: Client, workflow_id: str, moment: str, what: str, how: str = "half") -> None:
    """Keep a history from a moment when `what` is under way in it."""
    keep(f"{how}-{moment}", await moment_of(client, workflow_id, what))


async def keep_held_lock(client: Client, workflow_ids: dict[WorkflowType, str]) -> None:
    """Keep the history of a lock that is held.

    The lock only waits while the run works, so its history is taken when the run is in its last window.
    """
    await moment_of(client, workflow_ids[WorkflowType.RESILIENCE_TEST], WorkflowType.RULES_WINDOW)
    lock = client.get_workflow_handle(workflow_ids[WorkflowType.ENVIRONMENT_LOCK])
    keep("half-lock-held", await lock.fetch_history())


async def moment_of(client: Client, workflow_id: str, what: str) -> WorkflowHistory:
    """Return a workflow's history from a moment when `what` is under way in it."""
    handle = client.get_workflow_handle(workflow_id)

    async def look() -> WorkflowHistory | None:
        try:
            history = await handle.fetch_history()
        except RPCError:
            return None
        return history if what in under_way(history) else None

    found: WorkflowHistory = await until(look, f"{what} of {workflow_id}")
    return found


def under_way(history: WorkflowHistory) -> set[str]:
    """Return the activities and children that have begun and not ended."""
    begun: dict[int, str] = {}
    for event in history.events:
        attributes = getattr(event, event.WhichOneof("attributes"))
        if event.event_type in _BEGUN:
            named = attributes.activity_type if hasattr(attributes, "activity_type") else attributes.workflow_type
            begun[event.event_id] = named.name
        elif event.event_type not in _GOING_ON:
            for field in ("scheduled_event_id", "initiated_event_id"):
                begun.pop(getattr(attributes, field, 0), None)
    return set(begun.values())


def keep(name: str, history: WorkflowHistory) -> None:
    """Write a history, without anything that names the machine or its user."""
    events = [_without_place(event) for event in history.to_json_dict()["events"]]
    lines = ",\n".join(json.dumps(event) for event in events).replace(str(ROOT), "/holdfast")
    text = f'{{"workflow_id": {json.dumps(history.workflow_id)}, "history": {{"events": [\n{lines}\n]}}}}\n'
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
    print(f"{name}: {len(events)} events")  # noqa: T201 - a script shows its progress


def _without_place(value: Any) -> Any:
    """Replace identities, because they are made of a process and a host."""
    if isinstance(value, dict):
        return {key: "recorded" if key == "identity" else _without_place(inner) for key, inner in value.items()}
    return [_without_place(inner) for inner in value] if isinstance(value, list) else value


if __name__ == "__main__":
    asyncio.run(main("".join(sys.argv[1:2])))
    sys.stdout.flush()
    # As in cli/main.py: threads of the SDK's core abort an interpreter that is torn down under them.
    os._exit(0)
