"""The example's three services as processes: two of the example's own, and Datasette, which is not ours."""

import asyncio
import socket
import sys
from pathlib import Path
from typing import Any, Self

import yaml

from lab import LabAddresses, Topology

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "upstream" / "bookshop.py"
PATIENCE = 30.0


class Bookshop:
    """Runs what `docs/tutorial.md` starts, on free ports. Ends only the processes that it started."""

    def __init__(self, folder: Path) -> None:
        self.urls: dict[str, str] = {}
        self._folder = folder
        self._processes: list[asyncio.subprocess.Process] = []
        # Bound and not listening: these ports stay free for page and picks, which are started after the lab.
        self._guards = {name: _guard() for name in ("page", "picks")}

    async def __aenter__(self) -> Self:
        made = await asyncio.create_subprocess_exec(sys.executable, SCRIPT, "make-books", self._folder / "books.db")
        assert await made.wait() == 0
        self.urls = {name: f"http://127.0.0.1:{guard.getsockname()[1]}" for name, guard in self._guards.items()}
        said = await self._start("datasette", "-m", "datasette", "books.db", "-p", "0", until="Uvicorn running on ")
        self.urls["books"] = said.rpartition("Uvicorn running on ")[2].split()[0]
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
            await process.wait()
        for guard in self._guards.values():
            guard.close()

    def topology(self, **changes: Any) -> Topology:
        """The example's, with these services' addresses."""
        document = yaml.safe_load((ROOT / "examples" / "upstream-topology.yaml").read_text())
        for service in document["services"]:
            service["upstream"] = self.urls[service["name"]]
            del service["port"]
        return Topology.model_validate(document | {"ports": {}} | changes)

    async def open(self, lab: LabAddresses, *, around_the_lab: bool = False, forgetful: str = "") -> None:
        """Start page and picks, which know their neighbours by the lab's addresses, or else by their own."""
        at = self.urls if around_the_lab else lab.services
        for name, neighbours in (("picks", ("books",)), ("page", ("books", "picks"))):
            options = [part for neighbour in neighbours for part in (f"--{neighbour}", at[neighbour])]
            # A busy machine is no neighbour that fails.
            options += ["--patience", "20", *(["--forget-baggage"] if name == forgetful else [])]
            port = self.urls[name].rpartition(":")[2]
            await self._start(name, str(SCRIPT), name, "--port", port, *options, until="http://")

    async def _start(self, name: str, *command: str, until: str) -> str:
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, cwd=self._folder, stdout=output, stderr=output
            )
        self._processes.append(process)
        async with asyncio.timeout(PATIENCE):
            while until not in (said := log.read_text()) or not said.endswith("\n"):
                assert process.returncode is None, f"{name} ended by itself:\n{said}"
                await asyncio.sleep(0.02)
        return said


def _guard() -> socket.socket:
    guard = socket.socket()
    guard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    guard.bind(("127.0.0.1", 0))
    return guard
