"""The load worker as a child process: what measures and what puts back do not wait for each other's interpreter.

It is ended with its control worker, however that goes: a worker that is killed leaves nothing behind that still sends
requests. And it is started again when it dies alone, because control must go on whatever becomes of load: without it
no window closes.
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
from types import TracebackType
from typing import Self

from cli.demo.processes import STARTER
from domain.errors import ErrorCode, HoldfastError

COMMAND = (sys.executable, str(STARTER), "worker", "--only", "load")

STOP_PATIENCE = 10.0
"""Seconds until a load worker that does not end is killed: less than others give its control worker."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before a load worker that died is started again: doubled each time."""

LONG_ENOUGH = 60.0
"""Seconds after which a load worker counts as having worked: the next pause is the first again."""

READY = "ready"
_CHILD_OF = "HOLDFAST_CHILD_OF"
_SET_PARENT_DEATH_SIGNAL = 1

logger = logging.getLogger("holdfast.worker")


class LoadProcess:
    """Keeps one load worker running inside the block."""

    def __init__(self, command: Sequence[str] = COMMAND, first_pause: float = FIRST_PAUSE) -> None:
        self._command = command
        self._first_pause = first_pause
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the load worker there is now."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def __aenter__(self) -> Self:
        """Start it. It takes a second or two: see `ready`."""
        self._process = await self._started()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it, and wait until it has ended."""
        await self.ask_to_end()
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), STOP_PATIENCE)
        except TimeoutError:
            logger.warning("the load worker does not end: killing process %d", self._process.pid)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def ready(self) -> None:
        """Wait until it takes batches; from then on it is kept running.

        Raises:
            HoldfastError: PEER_UNREACHABLE when it ends before: what it needs is not there, and it has said so.
        """
        assert self._process is not None and self._process.stdout is not None  # noqa: S101, PT018 - entered
        line = await self._process.stdout.readline()
        if line.strip() != READY.encode():
            code = await self._process.wait()
            raise HoldfastError(
                ErrorCode.PEER_UNREACHABLE,
                f"the load worker ended with {code} before it was ready",
                hint="its own words are above; `holdfast worker --only load` starts it alone",
            )
        self._keeping = asyncio.create_task(self._keep(self._process))

    async def ask_to_end(self) -> None:
        """Ask it to end, and start none again. For doing something else until it has."""
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
            self._keeping = None
        if self.pid is not None and self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        clock = asyncio.get_running_loop().time
        pause = self._first_pause
        while True:
            started, code = clock(), await process.wait()
            pause = self._first_pause if clock() - started > LONG_ENOUGH else pause
            logger.error(
                "the load worker, process %d, ended by itself with %d; another one starts in %g s, and batches go on "
                "after the last case that was stored",
                *(process.pid, code, pause),
            )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                process = self._process = await self._started()
            except OSError as error:
                logger.error("no load worker could be started: %s", error)  # noqa: TRY400 - the sentence is enough

    async def _started(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            # Never written to: it ends when we have, which is how the child learns of it.
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Ctrl-C reaches us alone, and we ask it to end.
            start_new_session=True,
            env=os.environ | {_CHILD_OF: str(os.getpid())},
        )


class ControlProcess:
    """In a load worker: the control worker that started it, if one did."""

    def __init__(self, pid: int | None) -> None:
        self._pid = pid

    @classmethod
    def of_this_process(cls) -> ControlProcess:
        """As the environment says; what this process starts itself is not told."""
        pid = os.environ.pop(_CHILD_OF, "")
        return cls(int(pid) if pid else None)

    def end_with_it(self) -> None:
        """From now on die when it has, at once: nobody would count, or stop, what is still sent."""
        if self._pid is None:
            return
        if sys.platform == "linux":
            # Exact: by the time its parent can be told of the control worker's death, this process is gone as well.
            ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        threading.Thread(target=_die_at_eof, daemon=True).start()

    def tell_ready(self) -> None:
        """Say that batches are taken."""
        if self._pid is not None:
            sys.stdout.write(f"{READY}\n")
            sys.stdout.flush()


def _die_at_eof() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os.kill(os.getpid(), signal.SIGKILL)
