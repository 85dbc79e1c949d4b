"""The load worker as a child process.

Measuring and recovery must not wait for each other's interpreter. The load worker ends with its control worker, however
that ends: a killed worker leaves nothing behind that still sends requests. A load worker that dies alone is started
again. The control worker goes on in any case, because without it no window closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Self

from clients.telemetry.listening import next_addresses
from domain.errors import ErrorCode, HoldfastError
from operations.processes.children import STARTER

COMMAND = (sys.executable, str(STARTER), "worker", "--only", "load")

STOP_PATIENCE = 10.0
"""Seconds, beyond the time that its activities have, before a load worker that does not end is killed.

This is shorter than the time that others give the control worker itself to end.
"""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds before a dead load worker is started again: doubled each time, up to the longest."""

LONG_ENOUGH = 60.0
"""Seconds of running after which a load worker counts as healthy. The next pause is then the first one again."""

READY = "ready"
_CHILD_OF = "HOLDFAST_CHILD_OF"
_SET_PARENT_DEATH_SIGNAL = 1

logger = logging.getLogger("holdfast.worker")


class LoadProcess:
    """Keeps one load worker running inside the block."""

    def __init__(
        self, command: Sequence[str] = COMMAND, first_pause: float = FIRST_PAUSE, grace: timedelta = timedelta(0)
    ) -> None:
        """Take what to start, the pause before it is started again, and the time that its activities have to end."""
        self._command = command
        self._stop_patience = STOP_PATIENCE + grace.total_seconds()
        self._first_pause = first_pause
        self._process: asyncio.subprocess.Process | None = None
        self._keep_task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the current load worker. None: there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def __aenter__(self) -> Self:
        """Start the load worker, without waiting until it is up.

        It takes a second or two: see `ready`.
        """
        self._process = await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the load worker, and wait until it is gone."""
        await self.ask_to_end()
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), self._stop_patience)
        except TimeoutError:
            logger.warning("the load worker does not end: killing process %d", self._process.pid)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def ready(self) -> None:
        """Wait until the load worker accepts batches, then keep it running.

        Raises:
            HoldfastError: PEER_UNREACHABLE when it ends first. Something it needs is missing, and it has logged what.
        """
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018 - entered
        line = await self._process.stdout.readline()
        if line.strip() != READY.encode():
            code = await self._process.wait()
            raise HoldfastError(
                ErrorCode.PEER_UNREACHABLE,
                f"the load worker ended with {code} before it was ready",
                hint="its own messages are above; `holdfast worker --only load` starts it alone",
            )
        self._keep_task = asyncio.create_task(self._keep_running(self._process))

    async def ask_to_end(self) -> None:
        """Ask the load worker to end, and do not start it again.

        Returns without waiting for its end, so that the caller can do something else meanwhile.
        """
        if self._keep_task is not None:
            self._keep_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keep_task
            self._keep_task = None
        if self.pid is not None and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def _keep_running(self, process: asyncio.subprocess.Process) -> None:
        clock = asyncio.get_running_loop().time
        pause = self._first_pause
        while True:
            started = clock()
            code = await process.wait()
            pause = self._first_pause if clock() - started > LONG_ENOUGH else pause
            logger.error(
                "the load worker, process %d, ended by itself with %d; another one starts in %g s, and batches go on "
                "after the last case that was stored",
                *(process.pid, code, pause),
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                process = self._process = await self._start()
            except OSError as error:
                logger.error("no load worker could be started: %s", error)  # noqa: TRY400 - the sentence is enough

    async def _start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            # Never written to. It closes when we end, which is how the child notices.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C must reach us alone: we ask the child to end.
            start_new_session=True,
            env=os.environ | {_CHILD_OF: str(os.getpid())} | next_addresses(os.environ),
        )


class ControlProcess:
    """The control worker that started this load worker, if any."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid

    @classmethod
    def of_this_process(cls) -> ControlProcess:
        """Read the control worker's pid from the environment, and remove it there.

        Processes that this one starts must not inherit it.
        """
        pid = os.environ.pop(_CHILD_OF, "")
        return cls(int(pid) if pid else None)

    def die_with_control_worker(self) -> None:
        """From now on, die at once when the control worker dies.

        Otherwise requests would still be sent that nobody counts or stops.
        """
        if self._pid is None:
            return
        if sys.platform == "linux":
            # Exact: when the control worker's parent can learn of its death, this process is already gone too.
            ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        threading.Thread(target=_die_at_eof, daemon=True).start()

    def report_ready(self) -> None:
        """Report to the control worker that batches are accepted."""
        if self._pid is not None:
            sys.stdout.write(f"{READY}\n")
            sys.stdout.flush()


def _die_at_eof() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os.kill(os.getpid(), signal.SIGKILL)
