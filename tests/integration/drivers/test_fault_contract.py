"""What every fault driver must keep: windows, closing and the sweeper rely on nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from clients.drivers.fault_driver import FaultDriver
from clients.drivers.fault_drivers import FAULT_DRIVERS, fault_driver
from clients.peers.faults import FaultClient
from domain.faults.driving import FaultExists, FaultIntent
from lab import Lab, LabSettings, PortChoice, load_topology
from tests.support.drivers.stub import ADDRESS, STUB, StubFaults
from tests.support.paths import EXAMPLES
from tests.support.runs.bench import until

QUICK = LabSettings(rollout=0.05, fault_start=0.04, fault_stop=0.04, execute_wait=0.01)
LONG = timedelta(minutes=5)
INTENT = FaultIntent(fault="remove", service="reviews", namespace="shop")


@pytest.fixture(params=["chaosblade", "stub"])
async def driver(request: pytest.FixtureRequest) -> AsyncIterator[FaultDriver]:
    async with AsyncExitStack() as stack:
        if request.param == "stub":
            stack.enter_context(FAULT_DRIVERS.registered(STUB))
            address = ADDRESS
        else:
            topology = load_topology(EXAMPLES / "shop-topology.yaml")
            lab = await stack.enter_async_context(Lab(topology, settings=QUICK, ports=PortChoice.FREE))
            address = lab.addresses.faults
        yield await stack.enter_async_context(fault_driver(address))


def test_an_address_that_no_other_driver_serves_is_a_fault_service() -> None:
    assert type(fault_driver("http://127.0.0.1:1")) is FaultClient
    with FAULT_DRIVERS.registered(STUB):
        assert type(fault_driver(ADDRESS)) is StubFaults
        assert type(fault_driver("http://127.0.0.1:1")) is FaultClient


async def test_a_fault_runs_under_its_name_until_it_is_deleted(driver: FaultDriver) -> None:
    assert await driver.status("hf-1-reviews-1") is None
    await driver.inject("hf-1-reviews-1", LONG, INTENT)
    await until(lambda: _runs(driver, "hf-1-reviews-1"), "a running fault")
    assert "hf-1-reviews-1" in await driver.names("hf-")
    assert await driver.names("hf-2") == []
    assert await driver.namespaces("hf-1-reviews-1") == {"shop"}
    await driver.delete("hf-1-reviews-1")
    await until(lambda: _is_gone(driver, "hf-1-reviews-1"), "the end of the fault")


async def test_a_name_is_taken_once(driver: FaultDriver) -> None:
    """So an attempt whose answer was lost does not inject a second fault."""
    await driver.inject("hf-1-reviews-1", LONG, INTENT)
    with pytest.raises(FaultExists):
        await driver.inject("hf-1-reviews-1", LONG, INTENT)
    await driver.delete("hf-1-reviews-1")


async def test_deleting_what_is_not_there_does_no_harm(driver: FaultDriver) -> None:
    await driver.delete("hf-1-nothing-1")
    assert await driver.status("hf-1-nothing-1") is None
    assert await driver.namespaces("hf-1-nothing-1") is None


async def test_a_fault_ends_by_itself_after_its_time(driver: FaultDriver) -> None:
    await driver.inject("hf-1-reviews-1", timedelta(seconds=1), INTENT)
    await until(lambda: _is_gone(driver, "hf-1-reviews-1"), "the end of the fault")


async def test_the_command_for_a_person_names_the_fault(driver: FaultDriver) -> None:
    assert "hf-1-reviews-1" in driver.by_hand("hf-1-reviews-1")
    assert driver.address


async def _runs(driver: FaultDriver, name: str) -> bool:
    status = await driver.status(name)
    return status is not None and status.running


async def _is_gone(driver: FaultDriver, name: str) -> bool:
    return await driver.status(name) is None
