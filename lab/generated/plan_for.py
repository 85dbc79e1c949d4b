"""Builds a plan for a lab.

Every service but the entry fails, each in a different way than its neighbour.
"""

from collections.abc import Iterable
from copy import deepcopy
from itertools import cycle
from typing import Any

from lab.addresses import LabAddresses
from lab.generated.written import commented
from lab.services.sockets import HOST
from lab.topology import EntryRequest, Topology

_FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "remove"},
    {"fault": "error"},
    {"fault": {"delay": "5s"}, "substitute_status": 504},
)


def preferred_addresses(topology: Topology) -> LabAddresses:
    """Return the addresses if every port of the topology is free.

    Raises:
        ValueError: the topology does not define every port.
    """
    ports = {service.name: service.port for service in topology.services}
    wanted = [*ports.values(), topology.ports.proxy, topology.ports.faults, topology.ports.admin]
    if None in wanted:
        raise ValueError("the topology does not set every port, so the addresses are known only once the lab runs")
    services = {name: _url(port) for name, port in ports.items()}
    return LabAddresses(
        namespace=topology.namespace,
        proxy=_url(topology.ports.proxy),
        faults=_url(topology.ports.faults),
        admin=_url(topology.ports.admin),
        services=services,
        entry=services[topology.entry],
        entry_service=topology.entry,
        entry_request=topology.entry_request(),
        upstreams=topology.upstreams(),
    )


def plan_for(topology: Topology, addresses: LabAddresses) -> dict[str, Any]:
    """Build the plan's document.

    The request is the entry's first route or, for a real entry, what the topology defines.

    Raises:
        ValueError: there is nothing behind the entry that could fail.
    """
    behind = [service.name for service in topology.services if service.name != topology.entry]
    if not behind:
        raise ValueError("the topology has no service but its entry: there is nothing behind it that could fail")
    return {
        "holdfast": 1,
        "name": topology.namespace,
        "system": {
            "namespace": topology.namespace,
            "proxy": addresses.proxy,
            "faults": addresses.faults,
            "services": addresses.services,
        },
        "request": _request(topology.entry_request(), addresses.entry),
        "services": [{"name": name, **deepcopy(fault)} for name, fault in zip(behind, cycle(_FAULTS), strict=False)],
        "load": {"requests": 2, "concurrency": 2},
        "slo": {"error_rate": "1%", "p95": f"{_p95(topology):g}s"},
        "safety": {"fault_ttl": "5m"},
    }


def plan_text(topology: Topology, addresses: LabAddresses, comments: Iterable[str] = ()) -> str:
    """Build the same plan as a file's text."""
    return commented(plan_for(topology, addresses), comments)


def _request(entry: EntryRequest, address: str) -> dict[str, Any]:
    request: dict[str, Any] = {"method": entry.method, "url": address + entry.path, "timeout": "30s"}
    # Simulated services store nothing, so repeating a request does no harm, whatever its method. Real ones get GET.
    return request if entry.method == "GET" else {**request, "repeatable": True}


def _p95(topology: Topology) -> float:
    """Return a p95 limit, in seconds, that allows one retry pause.

    Two pauses exceed it. Without retries it is 2 s.
    """
    pauses = [call.retries * call.backoff for service in topology.services for call in service.calls]
    return round(1.6 * max(pauses, default=0.0), 2) or 2.0


def _url(port: int | None) -> str:
    return f"http://{HOST}:{port}"
