"""A lab finds its ports, reports its addresses, and leaves nothing behind."""

import asyncio
import socket

import aiohttp
import pytest

from lab import Lab, LabAddresses, LabSettings, PortChoice, Topology
from tests.support.lab.driver import Driver

SETTINGS = LabSettings(rollout=0.02)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def small(port: int, proxy: int) -> Topology:
    service = {"name": "a", "port": port, "routes": [{"path": "/api/x", "body": {"hello": "world"}}]}
    ports = {"proxy": proxy}
    return Topology.model_validate({"namespace": "test", "entry": "a", "ports": ports, "services": [service]})


async def test_preferred_ports_are_used_and_taken_ones_replaced() -> None:
    """The first lab gets the ports of the topology, a second lab gets others, and both work."""
    wanted = small(free_port(), free_port())
    async with Lab(wanted, settings=SETTINGS) as first, Lab(wanted, settings=SETTINGS) as second:
        assert first.addresses.services["a"] == f"http://127.0.0.1:{wanted.services[0].port}"
        assert first.addresses.proxy == f"http://127.0.0.1:{wanted.ports.proxy}"
        assert second.addresses.services["a"] != first.addresses.services["a"]
        assert second.addresses.proxy != first.addresses.proxy
        async with aiohttp.ClientSession() as session:
            for lab in (first, second):
                answer = await Driver(lab, session).service("a", "/api/x")
                assert answer.json == {"hello": "world"}


async def test_free_ports_never_use_the_preferred_ones() -> None:
    """With free ports any number of labs run side by side."""
    wanted = small(free_port(), free_port())
    async with Lab(wanted, settings=SETTINGS, ports=PortChoice.FREE) as lab:
        assert lab.addresses.services["a"] != f"http://127.0.0.1:{wanted.services[0].port}"


async def test_the_admin_endpoint_reports_the_same_addresses_as_the_lab(driver: Driver) -> None:
    """Its own address is included."""
    answer = await driver.admin("GET", "/addresses")
    assert LabAddresses.model_validate(answer.json) == driver.lab.addresses
    assert driver.at.entry == driver.at.services["storefront"]


async def test_addresses_are_unknown_before_the_start(shop: Topology) -> None:
    """Asking too early raises an error."""
    with pytest.raises(RuntimeError, match="not started"):
        _ = Lab(shop).addresses


async def test_a_stopped_lab_releases_its_ports() -> None:
    """After a stop amid faults and requests, each port can be bound again at once."""
    lab = Lab(small(free_port(), free_port()), settings=LabSettings(fault_start=0.01))
    addresses = await lab.start()
    async with aiohttp.ClientSession() as session:
        driver = Driver(lab, session)
        await driver.inject("f1", "a", "pod network loss", percent="100")
        hanging = asyncio.ensure_future(driver.service("a", "/api/x"))
        await driver.inject("f2", "a")
        await lab.stop()
        with pytest.raises(aiohttp.ClientError):
            await hanging
    for url in (addresses.proxy, addresses.faults, addresses.admin, *addresses.services.values()):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", int(url.rsplit(":", 1)[1])))
            sock.listen()
    await lab.stop()


async def test_state_starts_clean(driver: Driver) -> None:
    """A fresh lab has nothing active, and reports this over HTTP too."""
    assert (await driver.state()).clean
    assert (await driver.admin("GET", "/state")).json["clean"] is True
    assert driver.lab.state().clean
