"""Real services as processes, on free ports, for labs to stand before."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any, Self

import yaml

from lab import Topology

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


class Processes:
    """Starts services, and ends only those that it started."""

    def __init__(self, folder: Path, *guarded: str) -> None:
        self._folder = folder
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        # Bound and not listening: these ports stay free for services that are started after the lab.
        self._guards = {name: _guard() for name in guarded}
        self.urls = {name: f"http://127.0.0.1:{guard.getsockname()[1]}" for name, guard in self._guards.items()}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in list(self._processes):
            await self.end(name)
        for guard in self._guards.values():
            guard.close()

    async def end(self, name: str) -> None:
        """End one service."""
        process = self._processes.pop(name)
        if process.returncode is None:
            process.terminate()
        await process.wait()

    def pointed(self, example: str, **changes: Any) -> Topology:
        """A topology of the examples, with these services' addresses and free ports."""
        document = yaml.safe_load((ROOT / "examples" / example).read_text())
        for service in document["services"]:
            service["upstream"] = self.urls[service["name"]]
            del service["port"]
        return Topology.model_validate(document | {"ports": {}} | changes)

    async def start(self, name: str, *command: str, until: str) -> str:
        """Start one service with a Python command, and wait until it prints `until`; everything that it printed."""
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, cwd=self._folder, stdout=output, stderr=output
            )
        self._processes[name] = process
        async with asyncio.timeout(PATIENCE):
            while until not in (printed := log.read_text()) or not printed.endswith("\n"):
                assert process.returncode is None, f"{name} ended by itself:\n{printed}"
                await asyncio.sleep(0.02)
        return printed


def _guard() -> socket.socket:
    guard = socket.socket()
    guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    guard.bind(("127.0.0.1", 0))
    return guard
