"""`holdfast server`, `lab`, `worker`: what runs until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import click

from cli.console import clear_errors, say
from clients.embedded import DEFAULT_FILE, DevServerSettings, embedded_server
from lab import Lab, PortChoice, load_topology

ROOT = Path(__file__).parents[1]
SHOP_TOPOLOGY = ROOT / "examples" / "shop-topology.yaml"
JSON_READY = click.option("--json", "as_json", is_flag=True, help="Say where it is in one line of JSON.")


async def until_told_to_stop() -> None:
    """Until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


@click.command()
@click.option("--config", type=click.Path(path_type=Path), default=DEFAULT_FILE, show_default=False,
              help="Settings of the server; default: temporal-dev.yaml.")  # fmt: skip
@click.option("--database", type=click.Path(path_type=Path), help="Another database file.")
@JSON_READY
@clear_errors
def server(config: Path, database: Path | None, *, as_json: bool) -> None:
    """Run the embedded Temporal server with its Web UI until Ctrl-C."""
    settings = DevServerSettings.load(config)
    if database:
        settings = settings.model_copy(update={"database_file": str(database)})
    asyncio.run(_server(settings, as_json=as_json))


async def _server(settings: DevServerSettings, *, as_json: bool) -> None:
    async with embedded_server(settings) as running:
        if as_json:
            say(json.dumps({"address": running.address, "ui": running.ui, "moved": running.moved}))
        else:
            for moved in running.moved:
                say(moved)
            say(f"Temporal at {running.address}, Web UI at {running.ui}")
            say(f"database {settings.database_file or 'in memory'}, finished runs kept {settings.retention_days} days")
            say(f"next: TEMPORAL_ADDRESS={running.address} holdfast worker")
        await until_told_to_stop()


@click.command()
@click.option("--topology", type=click.Path(path_type=Path, exists=True), default=SHOP_TOPOLOGY, show_default=False,
              help="The system to simulate; default: the shop.")  # fmt: skip
@click.option("--free-ports", is_flag=True, help="Take free ports instead of the topology's.")
@JSON_READY
@clear_errors
def lab(topology: Path, *, free_ports: bool, as_json: bool) -> None:
    """Run the demo system, with its traffic proxy and fault service, until Ctrl-C."""
    ports = PortChoice.FREE if free_ports else PortChoice.PREFERRED
    asyncio.run(_lab(Lab(load_topology(topology), ports=ports), as_json=as_json))


async def _lab(simulated: Lab, *, as_json: bool) -> None:
    async with simulated:
        addresses = simulated.addresses
        if as_json:
            say(addresses.model_dump_json())
        else:
            say(f"proxy {addresses.proxy}, fault service {addresses.faults}, admin {addresses.admin}")
            for name, address in addresses.services.items():
                say(f"  {name:<20} {address}")
        await until_told_to_stop()


@click.command()
@clear_errors
def worker() -> None:
    """Run a worker on both queues until Ctrl-C. Configured by TEMPORAL_* and HOLDFAST_* variables."""
    from worker import main  # noqa: PLC0415 - the worker's imports take a second that other commands do not need

    raise SystemExit(main())
