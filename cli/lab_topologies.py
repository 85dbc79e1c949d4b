"""Topology files, and the ports that a lab got for them."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from clients.temporal.embedded import moved_ports
from domain.errors import ErrorCode, HoldfastError
from lab import LabAddresses, Topology, load_topology

ROOT = Path(__file__).parents[1]
SHOP_TOPOLOGY = ROOT / "examples" / "shop-topology.yaml"


def read_topology(path: Path) -> Topology:
    """Read the topology in a file.

    Raises:
        HoldfastError: VALIDATION_ERROR naming the file and what is wrong.
    """
    try:
        return load_topology(path)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"{path}: {place or 'topology'}: {first['msg'].removeprefix('Value error, ')}"
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, message, hint=f"see {SHOP_TOPOLOGY}") from error


def moved_lab_ports(topology: Topology, addresses: LabAddresses) -> list[str]:
    """Describe which lab ports were taken, and what is used instead."""
    ports = topology.ports
    wanted: dict[str, tuple[int | None, int]] = {
        "the proxy": (ports.proxy, _port(addresses.proxy)),
        "the fault service": (ports.faults, _port(addresses.faults)),
        "the lab's own endpoint": (ports.admin, _port(addresses.admin)),
    }
    wanted |= {service.name: (service.port, _port(addresses.services[service.name])) for service in topology.services}
    return moved_ports(wanted)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
