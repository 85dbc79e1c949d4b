"""A worker process from start to end.

It serves both parts, load in a child process, or one part alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Collection, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from clients.load import loop as load_loop
from clients.settings import Settings
from clients.telemetry.listening import next_addresses
from clients.telemetry.tracing import end_tracing
from clients.temporal.connection import connect_patiently
from domain.errors import HoldfastError
from domain.names import load_queue
from operations.processes.interrupts import signals_to_handle
from operations.processes.load_process import ControlProcess, LoadProcess
from operations.processes.log_lines import log_to_stderr
from operations.processes.telemetry import set_up_telemetry, set_up_tracing
from worker import Part, running

SERVER_PATIENCE = timedelta(seconds=60)
"""Time for the Temporal server to come up.

Machines, compose files and people start worker and server at the same time, in any order.
"""

logger = logging.getLogger("holdfast.worker")

T = TypeVar("T")


@contextmanager
def private_bytecode_cache() -> Iterator[None]:
    """Cache compiled modules privately if the environment forbids writing them.

    Container images often set PYTHONDONTWRITEBYTECODE. But the sandbox imports the workflow modules anew for every run.
    Compiling them each time triples the cost of starting a workflow (`benchmarks/workflow_prepare.py`).
    """
    if not sys.dont_write_bytecode:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="holdfast-bytecode-", ignore_cleanup_errors=True) as folder:
        sys.pycache_prefix, sys.dont_write_bytecode = folder, False
        try:
            yield
        finally:
            sys.pycache_prefix, sys.dont_write_bytecode = None, True


async def interruptible(work: Coroutine[Any, Any, T], stop: asyncio.Event) -> T | None:
    """Run work until it ends or `stop` is set. None: `stop` came first."""
    work_task = asyncio.create_task(work)
    stop_task = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((work_task, stop_task), return_when=asyncio.FIRST_COMPLETED)
        return None if stop.is_set() and not work_task.done() else await work_task
    finally:
        work_task.cancel()
        stop_task.cancel()


async def serve(parts: Collection[Part], *, load_apart: bool = False) -> None:
    """Serve these parts in this process until a signal asks to end.

    With `load_apart`, a child process serves load as well.

    Raises:
        HoldfastError: a setting is wrong, no server answers, the store cannot be used, or load does not come up.
    """
    control = ControlProcess.of_this_process()
    control.die_with_control_worker()
    settings = Settings.from_environment(os.environ)
    if load_apart:
        next_addresses(os.environ)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in signals_to_handle():
        loop.add_signal_handler(number, stop.set)
    client = await interruptible(connect_patiently(SERVER_PATIENCE), stop)
    if client is None:
        return
    async with AsyncExitStack() as stack:
        load = await stack.enter_async_context(LoadProcess(grace=settings.grace)) if load_apart else None
        await stack.enter_async_context(running(client, settings, parts))
        if load is not None:
            await interruptible(load.ready(), stop)
        if not stop.is_set():
            _log_ready(settings, parts, load)
            control.report_ready()
        await stop.wait()
        if load is not None:
            await load.ask_to_end()
    logger.info("worker stopped")


def _log_ready(settings: Settings, parts: Collection[Part], load: LoadProcess | None) -> None:
    control_queue = settings.task_queue
    queue = load_queue(settings.task_queue)
    if load is not None:
        logger.info("worker ready on queues %s and, in process %s, %s", control_queue, load.pid, queue)
    else:
        queues = {Part.CONTROL: control_queue, Part.LOAD: queue}
        logger.info("worker ready on %s", " and ".join(queues[part] for part in Part if part in parts))


def main(only: Part | None = None) -> int:
    """Run `holdfast worker` and return its exit code.

    The code is 3 if the worker could not start. Without `only`, both parts are served, load in a process of its own.
    """
    if only is None:
        return run_to_exit_code(serve([Part.CONTROL], load_apart=True))
    return run_to_exit_code(serve([only]), sends_load=only is Part.LOAD)


def run_to_exit_code(serving: Coroutine[Any, Any, None], *, sends_load: bool = False) -> int:
    """Run a worker to its end and return its exit code.

    With `sends_load`, it runs on the event loop for processes that send load.
    """
    try:
        log_to_stderr(os.environ)
        set_up_telemetry(os.environ)
    except HoldfastError as error:
        serving.close()
        logger.error("%s", error)  # noqa: TRY400 - one sentence and a hint, never a traceback
        return 3
    try:
        set_up_tracing(os.environ, "holdfast-load" if sends_load else "holdfast-worker")
    except HoldfastError as error:
        # Without a worker nothing is switched off, and these variables are often set for all processes of a machine.
        logger.error("this worker is not traced: %s", error)  # noqa: TRY400 - one sentence and a hint
    for name in ("httpx", "alembic"):  # At INFO, they log every request, and every plugin that they set up.
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        with private_bytecode_cache():
            (load_loop.run if sends_load else asyncio.run)(serving)
    except HoldfastError as error:
        logger.error("%s", error)  # noqa: TRY400 - one sentence and a hint, never a traceback
        return 3
    finally:
        end_tracing()
    return 0
