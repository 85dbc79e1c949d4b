"""Child processes of the demo: each in a session of its own, with a log, ended by their own pid and nothing else.

A child's standard input is a pipe that nobody writes to. When the parent is gone, however it went, the pipe ends, and
the child ends itself as if it had been asked to: a demo that was killed leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.local.private import opener
from domain.errors import ErrorCode, HoldfastError

STARTER = Path(__file__).parents[2] / "starter.py"

STOP_PATIENCE = 15.0
"""Seconds until a child that does not end is killed."""

_END_WITH_PARENT = "HOLDFAST_END_WITH_PARENT"
_TAIL = 15


def end_with_parent() -> None:
    """In a child: end when the parent has. Elsewhere: nothing."""
    if os.environ.pop(_END_WITH_PARENT, ""):
        threading.Thread(target=_end_at_eof, daemon=True).start()


def _end_at_eof() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


class Child:
    """One `holdfast` command as a child process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    async def start(cls, name: str, *arguments: str, folder: Path, environment: Mapping[str, str]) -> Child:
        """Start it. A session of its own, so that Ctrl-C reaches only us and we choose the order of ending."""
        log = folder / f"{name}.log"
        with open(log, "wb", opener=opener) as file:  # noqa: ASYNC230 - a local file, made at once
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(STARTER),
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE if "--json" in arguments else file,
                stderr=file,
                start_new_session=True,
                env={**environment, _END_WITH_PARENT: "1"},
            )
        return cls(name, process, log)

    async def ready(self, patience: float) -> dict[str, Any]:
        """The one line of JSON that says where it is.

        Raises:
            HoldfastError: PEER_UNREACHABLE with the tail of its log when it ends or is silent instead.
        """
        if self._process.stdout is None:
            raise self.failed("was not asked to say where it is")
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), patience)
            facts = dict(json.loads(line))
        except (TimeoutError, ValueError) as error:
            raise self.failed("did not start") from error
        if "error_code" in facts:
            raise self.failed("did not start")
        return facts

    def failed(self, what: str) -> HoldfastError:
        """An error with the end of its log."""
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL:])
        end = f". The end of {self.log}:\n{tail}" if tail else f"; {self.log} is empty"
        hint = f"when nothing there says why, the machine was too busy: try again, or `holdfast {self.name}` alone"
        return HoldfastError(ErrorCode.PEER_UNREACHABLE, f"the {self.name} {what}{end}\n", hint=hint)

    @property
    def pid(self) -> int:
        """Of the process, while it is there."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.returncode is not None

    async def ended_by_itself(self) -> HoldfastError:
        """Wait until it ends; what to say about it when nobody asked it to."""
        code = await self._process.wait()
        return self.failed(f"ended by itself with {code}")

    async def stop(self) -> None:
        """Ask it to end, and kill it, and what it started itself, only when it does not."""
        if self.ended:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_PATIENCE)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
