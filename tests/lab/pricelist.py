"""The three services of the tutorial's second half as processes."""

from pathlib import Path

from lab import LabAddresses, Topology
from tests.lab.processes import ROOT, Processes

SCRIPT = ROOT / "examples" / "upstream" / "pricelist.py"


class Pricelist(Processes):
    """Runs page, prices and catalog."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "page", "prices", "catalog")

    def topology(self) -> Topology:
        """The example's, with these services' addresses."""
        return self.pointed("pricelist-topology.yaml")

    async def open(self, lab: LabAddresses) -> None:
        """Start all three; the page knows its neighbours by the lab's addresses."""
        for name in ("prices", "catalog"):
            await self._serve(name)
        await self.open_page(lab)

    async def open_page(self, lab: LabAddresses, *options: str) -> None:
        """Start the page; with the option that mends it, where it is given."""
        neighbours = ("--prices", lab.services["prices"], "--catalog", lab.services["catalog"])
        # A busy machine is no neighbour that fails.
        await self._serve("page", *neighbours, "--patience", "20", *options)

    async def _serve(self, name: str, *options: str) -> None:
        port = self.urls[name].rpartition(":")[2]
        await self.start(name, str(SCRIPT), name, "--port", port, *options, until="http://")
