"""One embedded server for all tests of the command line; a task queue and a folder for each of them."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from clients.local.notes import Kind, noted
from clients.store.store import Store
from clients.temporal.embedded import RunningServer, embedded_server
from clients.temporal.embedded_settings import DevServerSettings
from domain.names import WorkflowType
from domain.plans.addresses import addresses_in
from domain.resilience.kind import KIND
from tests.support.cli.stand_ins import StandInLock, StandInRun
from tests.support.cli.terminal import Terminal, clean_environment, plan_document
from tests.support.store.template import put_database

Start = Callable[..., Awaitable[Terminal]]


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    settings = DevServerSettings(
        port=0, ui_port=0, database_file=str(tmp_path_factory.mktemp("temporal") / "temporal.db")
    )
    async with embedded_server(settings, ui=False) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Client:
    return server.client


@pytest.fixture
def queue() -> str:
    return f"queue-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def stand_ins(client: Client, queue: str) -> AsyncIterator[None]:
    """Run a worker with the stand-ins, on this test's queue."""
    async with Worker(
        client, task_queue=queue, workflows=[StandInRun, StandInLock], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        yield


@pytest.fixture
def environment(
    server: RunningServer, queue: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """Yield the configuration of a command.

    The shop of the example plan is noted as a lab, so that commands ask for no confirmation.
    """
    (tmp_path / "temporal.toml").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    shop = {urlsplit(str(url)).netloc for _, url in addresses_in(plan_document("shop"))}
    with noted(Kind.LAB, shop):
        yield {
            "TEMPORAL_ADDRESS": server.address,
            "TEMPORAL_CONFIG_FILE": str(tmp_path / "temporal.toml"),
            "HOLDFAST_TASK_QUEUE": queue,
            "XDG_STATE_HOME": str(tmp_path / "state"),
        }


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    """Open an empty store for commands that run in this process."""
    url = put_database(tmp_path / "holdfast.db")
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", url)
    store = await Store.open(url)
    yield store
    await store.close()


@pytest.fixture
def here(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Configure commands that run in this process in the same way, in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    for name in set(_ours()) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def _ours() -> list[str]:
    return [name for name in os.environ if name not in clean_environment()]


@pytest.fixture
async def holdfast(tmp_path: Path, environment: dict[str, str]) -> AsyncIterator[Start]:
    """Start commands as processes. Those that are still running at the end are killed."""
    async with AsyncExitStack() as stack:

        async def start(*arguments: str, **more: str) -> Terminal:
            terminal = await Terminal.start(*arguments, folder=tmp_path, env=environment | more)
            stack.push_async_callback(terminal.close)
            return terminal

        yield start


@pytest.fixture
async def plan(client: Client, tmp_path: Path) -> AsyncIterator[Callable[..., str]]:
    """Write a plan with a name of its own and return the name. Its runs are terminated at the end."""
    names: list[str] = []

    def write(act: str = "", **changes: Any) -> str:
        name = f"plan-{uuid.uuid4().hex[:8]}"
        names.append(name)
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(plan_document(name, act, **changes)))
        return name

    yield write
    for name in names:
        handle = client.get_workflow_handle(KIND.workflow_id(name))
        with suppress(RPCError):
            described = await handle.describe()
            with suppress(RPCError):
                await handle.terminate()
            with suppress(RPCError):
                await client.get_workflow_handle(f"environment/{described.run_id}").terminate()


@pytest.fixture
def begin(client: Client, queue: str, plan: Callable[..., str]) -> Callable[[str], Awaitable[Any]]:
    """Start a stand-in run as any other program would."""

    async def start(act: str) -> Any:
        name = plan(str(act))
        return await client.start_workflow(
            WorkflowType.RESILIENCE_TEST,
            {"plan": plan_document(name, str(act))},
            id=KIND.workflow_id(name),
            task_queue=queue,
        )

    return start
