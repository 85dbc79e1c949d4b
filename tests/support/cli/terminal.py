"""Run `holdfast` as a person would: as a process, with signals, reading what it prints."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support.paths import ROOT

PATIENCE = 60.0
"""Seconds after which a line counts as never coming."""


def plan_document(name: str, act: str = "", **changes: Any) -> dict[str, Any]:
    """Return the shop's plan under another name. `act` is what a stand-in run does."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "examples" / "shop.yaml").read_text())
    return document | {"name": name, "description": act} | changes


class Terminal:
    """A `holdfast` command. Standard output and error are read together, in the order in which they come."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.text = ""

    @classmethod
    async def start(
        cls, *arguments: str, folder: Path, env: dict[str, str], script: Path = ROOT / "starter.py"
    ) -> Self:
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                str(script),
                *arguments,
                cwd=folder,
                env=clean_environment() | env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        )

    async def until(self, words: str, patience: float = PATIENCE) -> str:
        """Read until the output contains these words."""
        assert self._process.stdout is not None
        async with asyncio.timeout(patience):
            while words not in self.text:
                line = await self._process.stdout.readline()
                assert line, f"ended before it said {words!r}:\n{self.text}"
                self.text += line.decode()
        return self.text

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    async def end(self, patience: float = PATIENCE) -> int:
        """Read to the end and return the exit code."""
        assert self._process.stdout is not None
        async with asyncio.timeout(patience):
            self.text += (await self._process.stdout.read()).decode()
            return await self._process.wait()

    async def close(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self.end()


def clean_environment() -> dict[str, str]:
    """Return this process's environment without anything that configures Holdfast, Temporal or traces."""
    configures = ("HOLDFAST_", "TEMPORAL_", "OTEL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(configures)}
