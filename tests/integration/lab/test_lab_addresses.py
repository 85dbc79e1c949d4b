"""What a running lab reports about itself is enough to write a plan for it."""

import aiohttp
import pytest
from pydantic import ValidationError

from lab import Lab, LabAddresses, LabSettings, PortChoice, Topology
from lab.generated.plan_for import plan_for
from tests.support.lab.driver import Driver, Json

REAL = {"name": "a", "upstream": "http://127.0.0.1:9"}
SIMULATED = {"name": "a", "routes": [{"method": "POST", "path": "/api/orders"}, {"path": "/api/other"}]}


def topology(entry: Json, **fields: object) -> Topology:
    behind = {"name": "b", "routes": [{"path": "/api/x"}]}
    return Topology.model_validate({"namespace": "test", "entry": "a", "services": [entry, behind], **fields})


async def told(wanted: Topology) -> LabAddresses:
    settings = LabSettings(rollout=0.02)
    async with Lab(wanted, settings=settings, ports=PortChoice.FREE) as lab, aiohttp.ClientSession() as session:
        answer = await Driver(lab, session).admin("GET", "/addresses")
        return LabAddresses.model_validate(answer.json)


@pytest.mark.parametrize(
    ("wanted", "request_to_entry"),
    [
        (topology(SIMULATED), ("POST", "/api/orders")),
        (topology(REAL), ("GET", "/")),
        (topology(REAL, entry_path="/page?user=4%2F2"), ("GET", "/page?user=4%2F2")),
    ],
    ids=["simulated", "real", "real with its path"],
)
async def test_a_running_lab_reports_the_request_to_its_entry(
    wanted: Topology, request_to_entry: tuple[str, str]
) -> None:
    """The first route of a simulated entry, or the topology's path to a real entry, else the root. A plan sends it."""
    addresses = await told(wanted)
    assert addresses.entry_request is not None
    assert (addresses.entry_request.method, addresses.entry_request.path) == request_to_entry
    planned = plan_for(wanted, addresses)["request"]
    assert (planned["method"], planned["url"]) == (request_to_entry[0], addresses.entry + request_to_entry[1])
    assert planned.get("repeatable", False) is (request_to_entry[0] == "POST")


async def test_a_running_lab_reports_which_services_are_real() -> None:
    """By name, with the address behind the lab. The lab's own address stays the one to call."""
    addresses = await told(topology(REAL))
    assert addresses.upstreams == {"a": "http://127.0.0.1:9"}
    assert addresses.services["a"].startswith("http://127.0.0.1:")
    assert (await told(topology(SIMULATED))).upstreams == {}


def test_a_simulated_entry_has_routes_instead_of_an_entry_path() -> None:
    """With both it would be unclear which of them counts."""
    with pytest.raises(ValidationError, match="entry_path is for an entry that is real"):
        topology(SIMULATED, entry_path="/page")
