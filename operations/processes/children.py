"""Child processes of the demo, each with its own session and log.

A child is ended by its own pid and nothing else. A child's standard input is a pipe that nobody writes to. When the
parent is gone, for whatever reason, the pipe closes, and the child ends itself as if it had been asked to. So a killed
demo leaves nothing behind.
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
"""Seconds before a child that does not end is killed."""

_END_WITH_PARENT = "HOLDFAST_END_WITH_PARENT"
_TAIL = 15


def watch_parent() -> None:
    """Start a thread that ends this process when the demo ends. Only in a child process of the demo."""
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
        """Start a `holdfast` command. Its log is `<name>.log` in `folder`."""
        log = folder / f"{name}.log"
        with open(log, "wb", opener=opener) as file:  # noqa: ASYNC230 - a local file, made at once
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(STARTER),
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE if "--json" in arguments else file,
                stderr=file,
                # Ctrl-C must reach only us, so that we choose the order in which the children end.
                start_new_session=True,
                env={**environment, _END_WITH_PARENT: "1"},
            )
        return cls(name, process, log)

    async def ready(self, patience: float) -> dict[str, Any]:
        """Wait for the child's addresses: one line of JSON.

        Raises:
            HoldfastError: PEER_UNREACHABLE, with the tail of its log, when it ends or stays silent instead.
        """
        if self._process.stdout is None:
            raise self.error_with_log("was not asked to print its address")
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), patience)
            facts = dict(json.loads(line))
        except (TimeoutError, ValueError) as error:
            raise self.error_with_log("did not start") from error
        if "error_code" in facts:
            raise self.error_with_log("did not start")
        return facts

    def error_with_log(self, what: str) -> HoldfastError:
        """Return an error with the end of the child's log."""
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL:])
        end = f". The end of {self.log}:\n{tail}" if tail else f"; {self.log} is empty"
        hint = f"if the log shows no reason, the machine was too busy: try again, or run `holdfast {self.name}` alone"
        return HoldfastError(ErrorCode.PEER_UNREACHABLE, f"the {self.name} {what}{end}\n", hint=hint)

    @property
    def pid(self) -> int:
        """The process id, valid while the process exists."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the child has ended."""
        return self._process.returncode is not None

    async def wait_for_unexpected_end(self) -> HoldfastError:
        """Wait until the child ends by itself. Returns the error to raise."""
        code = await self._process.wait()
        return self.error_with_log(f"ended by itself with {code}")

    async def stop(self) -> None:
        """Ask the child to end.

        After STOP_PATIENCE, it is killed, with all processes that it started.
        """
        if self.ended:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_PATIENCE)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
