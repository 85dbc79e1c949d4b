"""The example's three services as processes: two of the example's own, and Datasette, which is not ours."""

import asyncio
import sys
from pathlib import Path
from typing import Any, Self

from lab import LabAddresses, Topology
from tests.lab.processes import ROOT, Processes

SCRIPT = ROOT / "examples" / "upstream" / "bookshop.py"


class Bookshop(Processes):
    """Runs what the first half of `docs/tutorial.md` starts."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "page", "picks")

    async def __aenter__(self) -> Self:
        made = await asyncio.create_subprocess_exec(sys.executable, SCRIPT, "make-books", self._folder / "books.db")
        assert await made.wait() == 0
        said = await self.start("datasette", "-m", "datasette", "books.db", "-p", "0", until="Uvicorn running on ")
        self.urls["books"] = said.rpartition("Uvicorn running on ")[2].split()[0]
        return self

    def topology(self, **changes: Any) -> Topology:
        """The example's, with these services' addresses."""
        return self.pointed("upstream-topology.yaml", **changes)

    async def open(self, lab: LabAddresses, *, around_the_lab: bool = False, forgetful: str = "") -> None:
        """Start page and picks, which know their neighbours by the lab's addresses, or else by their own."""
        at = self.urls if around_the_lab else lab.services
        for name, neighbours in (("picks", ("books",)), ("page", ("books", "picks"))):
            options = [part for neighbour in neighbours for part in (f"--{neighbour}", at[neighbour])]
            # A busy machine is no neighbour that fails.
            options += ["--patience", "20", *(["--forget-baggage"] if name == forgetful else [])]
            port = self.urls[name].rpartition(":")[2]
            await self.start(name, str(SCRIPT), name, "--port", port, *options, until="http://")
