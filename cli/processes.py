"""Child processes of the demo: each in a session of its own, with a log, ended by their own pid and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflows.contracts.errors import ErrorCode, HoldfastError

STOP_PATIENCE = 15.0
"""Seconds until a child that does not end is killed."""

_TAIL = 15


class Child:
    """One `holdfast` command as a child process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    async def start(
        cls, name: str, *arguments: str, folder: Path, environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start it. A session of its own, so that Ctrl-C reaches only us and we choose the order of ending."""
        log = folder / f"{name}.log"
        with log.open("wb") as file:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "starter",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=file,
                start_new_session=True,
                env=os.environ | (environment or {}),
            )
        return cls(name, process, log)

    async def ready(self, patience: float) -> dict[str, Any]:
        """Its first line, which says where it is.

        Raises:
            HoldfastError: PEER_UNREACHABLE with the tail of its log when it ends or is silent instead.
        """
        assert self._process.stdout is not None  # noqa: S101 - asked for in start
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), patience)
            return dict(json.loads(line))
        except (TimeoutError, ValueError) as error:
            raise self.failed("did not start") from error

    def failed(self, what: str) -> HoldfastError:
        """An error with the end of its log."""
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL:])
        return HoldfastError(ErrorCode.PEER_UNREACHABLE, f"the {self.name} {what}. The end of {self.log}:\n{tail}")

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.returncode is not None

    async def stop(self) -> None:
        """Ask it to end, and kill it only when it does not."""
        if self.ended:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_PATIENCE)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
