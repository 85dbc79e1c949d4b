"""The load worker starts and ends with its control worker, and is replaced when it dies."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from clients.load import loop
from clients.temporal.embedded import RunningServer
from domain.errors import HoldfastError
from operations.processes.load_process import LoadProcess
from tests.support.cli.fixtures import Start

WORKS = "import sys; print('ready', flush=True); sys.stdin.read()"
FAILS = "import sys; sys.exit(3)"


def child(code: str) -> tuple[str, ...]:
    """Return the command of a stand-in for the load worker."""
    return sys.executable, "-c", code


async def until_gone(pid: int) -> None:
    """Wait until no process has this id."""
    async with asyncio.timeout(20):
        while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
            await asyncio.sleep(0.01)


async def test_a_load_worker_that_dies_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """The control worker goes on, and logs what it has seen."""
    async with LoadProcess(child(WORKS), first_pause=0.01) as load:
        await load.ready()
        first = load.pid
        assert first is not None
        with caplog.at_level(logging.ERROR, "holdfast.worker"):
            os.kill(first, signal.SIGKILL)
            async with asyncio.timeout(20):
                while load.pid in (None, first):
                    await asyncio.sleep(0.01)
        assert f"the load worker, process {first}, ended by itself with -9" in caplog.text
        second = load.pid
    assert second is not None
    assert load.pid is None
    await until_gone(second)


async def test_the_pauses_grow_while_the_load_worker_keeps_dying(caplog: pytest.LogCaptureFixture) -> None:
    """A load worker that cannot start must not take the processor from the control worker."""
    async with LoadProcess(child("print('ready', flush=True)"), first_pause=0.01) as load:
        with caplog.at_level(logging.ERROR, "holdfast.worker"):
            await load.ready()
            async with asyncio.timeout(20):
                while len(pauses := re.findall(r"starts in ([0-9.]+) s", caplog.text)) < 3:
                    await asyncio.sleep(0.01)
    assert pauses[:3] == ["0.01", "0.02", "0.04"]


async def test_a_load_worker_that_never_gets_ready_is_an_error() -> None:
    """Nothing has begun yet: whatever keeps it from starting must be mended first."""
    async with LoadProcess(child(FAILS)) as load:
        with pytest.raises(HoldfastError, match="the load worker ended with 3 before it was ready"):
            await load.ready()


async def test_a_load_worker_that_is_ended_on_purpose_is_not_replaced(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged either."""
    with caplog.at_level(logging.ERROR, "holdfast.worker"):
        async with LoadProcess(child(WORKS), first_pause=0.01) as load:
            await load.ready()
            await load.ask_to_end()
            assert load._process is not None
            assert await load._process.wait() == -signal.SIGTERM
    assert not caplog.records


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_worker_sends_its_load_from_a_separate_process(holdfast: Start, server: RunningServer) -> None:
    """That process ends with the worker when asked, and is gone when the worker is killed.

    If it dies alone, it is replaced.
    """
    worker = await holdfast("worker")
    first = load_of(await worker.until("in process", patience=60))
    os.kill(first, signal.SIGKILL)
    await worker.until("ended by itself with -9")
    worker.signal(signal.SIGTERM)
    assert await worker.end() == 0
    again = await holdfast("worker")
    second = load_of(await again.until("in process", patience=60))
    # The figures in docs/performance.md are for uvloop, which nothing else imports.
    assert "uvloop" in Path(f"/proc/{second}/maps").read_text()
    again.signal(signal.SIGKILL)
    assert await again.end() == -signal.SIGKILL
    await until_gone(second)


async def test_each_part_can_run_alone(holdfast: Start, server: RunningServer, queue: str) -> None:
    """Each may run on its own machine, as often as wanted."""
    control, load = await holdfast("worker", "--only", "control"), await holdfast("worker", "--only", "load")
    assert f'"worker ready on {queue}"' in await control.until("worker ready", patience=60)
    assert f'"worker ready on {queue}-load"' in await load.until("worker ready", patience=60)
    control.signal(signal.SIGTERM)
    load.signal(signal.SIGINT)
    assert (await control.end(), await load.end()) == (0, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="has no uvloop")
def test_load_is_sent_on_uvloop() -> None:
    """The load process and the benchmarks run on this loop."""

    async def module() -> str:
        return type(asyncio.get_running_loop()).__module__

    assert loop.run(module()) == "uvloop"


def load_of(text: str) -> int:
    """Return the load worker's process id, as the worker prints it."""
    found = re.search(r"in process (\d+)", text)
    assert found, text
    return int(found[1])
