"""`holdfast server`, `lab`, `worker`: what runs until it is told to stop."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click
import yaml
from pydantic import ValidationError

from cli.connection import quieten
from cli.console import clear_errors, say
from cli.interrupts import Interrupts
from clients.embedded import DEFAULT_FILE, DevServerSettings, embedded_server, moved_ports
from lab import Lab, LabAddresses, PortChoice, Topology, load_topology
from workflows.contracts.errors import ErrorCode, HoldfastError

ROOT = Path(__file__).parents[1]
SHOP_TOPOLOGY = ROOT / "examples" / "shop-topology.yaml"
JSON_READY = click.option("--json", "as_json", is_flag=True, help="Say where it is in one line of JSON.")


@click.command()
@click.option("--config", type=click.Path(path_type=Path), default=DEFAULT_FILE, show_default=False,
              help="Settings of the server; default: temporal-dev.yaml.")  # fmt: skip
@click.option("--database", type=click.Path(path_type=Path), help="Another database file.")
@click.option("--ui/--no-ui", default=True, show_default=True, help="With the Web UI.")
@JSON_READY
@clear_errors
def server(config: Path, database: Path | None, *, ui: bool, as_json: bool) -> None:
    """Run the embedded Temporal server with its Web UI until Ctrl-C."""
    settings = DevServerSettings.load(config)
    if database:
        settings = settings.model_copy(update={"database_file": str(database)})
    asyncio.run(_server(settings, ui=ui, as_json=as_json))


async def _server(settings: DevServerSettings, *, ui: bool, as_json: bool) -> None:
    quieten()
    with Interrupts() as interrupts:
        async with embedded_server(settings, ui=ui) as running:
            if as_json:
                say(json.dumps({"address": running.address, "ui": running.ui, "moved": running.moved}))
            else:
                for moved in running.moved:
                    say(moved)
                say(f"Temporal at {running.address}, " + (f"Web UI at {running.ui}" if running.ui else "no Web UI"))
                kept = f"finished runs kept {settings.retention_days} days"
                say(f"database {settings.database_file or 'in memory'}, {kept}; Ctrl-C ends it")
                say(f"next: TEMPORAL_ADDRESS={running.address} holdfast worker")
            await interrupts.next()


@click.command()
@click.option("--topology", type=click.Path(path_type=Path), default=SHOP_TOPOLOGY, show_default=False,
              help="The system to simulate; default: the shop.")  # fmt: skip
@click.option("--free-ports", is_flag=True, help="Take free ports instead of the topology's.")
@JSON_READY
@clear_errors
def lab(topology: Path, *, free_ports: bool, as_json: bool) -> None:
    """Run the demo system, with its traffic proxy and fault service, until Ctrl-C."""
    asyncio.run(_lab(read_topology(topology), free_ports=free_ports, as_json=as_json))


async def _lab(topology: Topology, *, free_ports: bool, as_json: bool) -> None:
    with Interrupts() as interrupts:
        async with Lab(topology, ports=PortChoice.FREE if free_ports else PortChoice.PREFERRED) as simulated:
            addresses = simulated.addresses
            if as_json:
                say(addresses.model_dump_json())
            else:
                for moved in [] if free_ports else moved_lab_ports(topology, addresses):
                    say(moved)
                say(f"proxy {addresses.proxy}, fault service {addresses.faults}, admin {addresses.admin}/lab/state")
                for name, address in addresses.services.items():
                    say(f"  {name:<20} {address}")
                say("Ctrl-C ends it")
            await interrupts.next()


def read_topology(path: Path) -> Topology:
    """The topology in a file.

    Raises:
        HoldfastError: VALIDATION_ERROR naming the file and what is wrong.
    """
    try:
        return load_topology(path)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"{path}: {place or 'topology'}: {first['msg']}"
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, message, hint=f"see {SHOP_TOPOLOGY}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        words = " ".join(str(error).split())
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"{path} cannot be read: {words}") from error


def moved_lab_ports(topology: Topology, addresses: LabAddresses) -> list[str]:
    """Ports of the lab that were taken, and what is used instead, in words."""
    ports = topology.ports
    wanted: dict[str, tuple[int | None, int]] = {
        "the proxy": (ports.proxy, _port(addresses.proxy)),
        "the fault service": (ports.faults, _port(addresses.faults)),
        "the lab's own endpoint": (ports.admin, _port(addresses.admin)),
    }
    wanted |= {one.name: (one.port, _port(addresses.services[one.name])) for one in topology.services}
    return moved_ports(wanted)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])


@click.command()
@clear_errors
def worker() -> None:
    """Run a worker on both queues until Ctrl-C. Configured by TEMPORAL_* and HOLDFAST_* variables."""
    from worker import main  # noqa: PLC0415 - the worker's imports take a second that other commands do not need

    raise SystemExit(main())
