"""A fresh lab for each test, on free ports."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from lab import Lab, LabSettings, PortChoice, Topology, load_topology
from tests.support.lab.driver import Driver
from tests.support.paths import EXAMPLES

SHOP = EXAMPLES / "shop-topology.yaml"


@pytest.fixture(scope="session")
def shop() -> Topology:
    return load_topology(SHOP)


@pytest.fixture
def settings() -> LabSettings:
    """Shorten the default times where nothing but waiting is lost."""
    return LabSettings(
        rollout=0.05,
        fault_start=0.04,
        fault_stop=0.04,
        execute_wait=0.01,
        collect_quiet=0.15,
        collect=0.8,
        hang_limit=3,
    )


@pytest.fixture
async def driver(shop: Topology, settings: LabSettings) -> AsyncIterator[Driver]:
    async with Lab(shop, settings=settings, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        yield Driver(lab, session)
