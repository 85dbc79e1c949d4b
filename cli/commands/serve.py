"""`holdfast server`, `lab` and `worker`: commands that run until stopped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import click

from cli.console import clear_errors, complain, say, survives_lost_output
from cli.lab_topologies import SHOP_TOPOLOGY, moved_lab_ports, read_topology
from clients.local.notes import Kind, noted
from clients.temporal.embedded import embedded_server
from clients.temporal.embedded_settings import DEFAULT_FILE, DevServerSettings
from domain.errors import ErrorCode, HoldfastError
from domain.guardrails.check import ALLOWED_HOSTS
from lab import Lab, LabAddresses, PortChoice, Topology
from lab.generated.generate import Generated, generate_topology, parse_kinds, parse_shape
from lab.generated.plan_for import plan_text, preferred_addresses
from lab.generated.planting import CLASSIC, Weakness
from lab.generated.written import topology_text
from operations.connection import quieten
from operations.processes.interrupts import Interrupts

JSON_READY = click.option("--json", "as_json", is_flag=True, help="Print the addresses as one line of JSON.")


@click.command()
@click.option("--config", type=click.Path(path_type=Path), default=DEFAULT_FILE, show_default=False,
              help="Settings of the server; default: temporal-dev.yaml.")  # fmt: skip
@click.option("--database", type=click.Path(path_type=Path), help="Use this database file instead.")
@click.option("--ui/--no-ui", default=True, show_default=True, help="Start the Web UI as well.")
@JSON_READY
@clear_errors
@survives_lost_output
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
@click.option(
    "--topology",
    type=click.Path(path_type=Path),
    help="The system to simulate, or the real services to stand in front of; default: the shop.",
)
@click.option("--generate", "shape", metavar="SHAPE:SIZE",
              help="Make up a system instead, such as layered:20: chain, tree, star or layered; 5 to 200.")  # fmt: skip
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Selects one of the made-up systems of that shape."
)
@click.option("--weaknesses", type=click.IntRange(0), default=3, show_default=True,
              help="Most weaknesses to plant in a made-up system.")  # fmt: skip
@click.option("--kinds", metavar="KIND,...", help="Kinds of weaknesses to plant: all, or some of "
              + ", ".join(kind.value for kind in Weakness) + "; default: the first four.")  # fmt: skip
@click.option("--write", type=click.Path(path_type=Path), help="Write the topology to this file, and end.")
@click.option("--plan", type=click.Path(path_type=Path), help="Write a plan for the system to this file.")
@click.option("--free-ports", is_flag=True, help="Take free ports instead of the topology's.")
@JSON_READY
@clear_errors
@survives_lost_output
def lab(
    *,
    topology: Path | None,
    shape: str | None,
    seed: int,
    weaknesses: int,
    kinds: str | None,
    write: Path | None,
    plan: Path | None,
    free_ports: bool,
    as_json: bool,
) -> None:
    """Run a lab, a system to try things on, until Ctrl-C.

    It comes with a traffic proxy and a fault service. By default, it simulates the demo shop. --generate makes a system
    up, and --topology describes one of your own, which may stand in front of real services.
    """
    if shape is None:
        chosen = Generated(read_topology(topology or SHOP_TOPOLOGY), ())
        remarks = [f"from {topology or SHOP_TOPOLOGY.name}"]
    elif topology is not None:
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, "--topology and --generate exclude each other: give one")
    else:
        chosen = _generated(shape, seed, weaknesses, kinds)
        wanted = f"{shape} --seed {seed} --weaknesses {weaknesses}" + (f" --kinds {kinds}" if kinds else "")
        remarks = [f"generated: {wanted}", *_planted(chosen)]
    if write is None:
        asyncio.run(_lab(chosen, plan, remarks, free_ports=free_ports, as_json=as_json))
        return
    _write(write, topology_text(chosen.topology, remarks))
    if plan is not None:
        _write_plan(plan, chosen.topology, preferred_addresses, remarks)


async def _lab(chosen: Generated, plan: Path | None, remarks: list[str], *, free_ports: bool, as_json: bool) -> None:
    topology = chosen.topology
    with Interrupts() as interrupts:
        async with (
            Lab(topology, ports=PortChoice.FREE if free_ports else PortChoice.PREFERRED) as simulated,
            AsyncExitStack() as stack,
        ):
            addresses = simulated.addresses
            _note(stack, addresses)
            if plan is not None:
                _write_plan(plan, topology, lambda _: addresses, remarks, quiet=as_json)
            if as_json:
                say(addresses.model_dump_json())
            else:
                for line in [] if free_ports else moved_lab_ports(topology, addresses):
                    say(line)
                for line in _planted(chosen):
                    say(line)
                say(f"proxy {addresses.proxy}, fault service {addresses.faults}, admin {addresses.admin}/lab/state")
                for name, address in addresses.services.items():
                    real = addresses.upstreams.get(name)
                    say(f"  {name:<20} {address} " + (f"-> {real}" if real else "simulated"))
                say("Ctrl-C ends it")
                say(f"next: holdfast init --lab {addresses.admin} --output plan.yaml")
            for name, url in (await simulated.not_answering()).items():
                complain(f"warning: {name} is not ready: {url} gives no answer below 500")
            await interrupts.next()


def _note(stack: AsyncExitStack, addresses: LabAddresses) -> None:
    """Let this user's workers reach the lab while it runs."""
    # Without the admin address, which no plan needs.
    touched = [urlsplit(url).netloc for url in (addresses.proxy, addresses.faults, *addresses.services.values())]
    try:
        stack.enter_context(noted(Kind.LAB, touched))
    except OSError as error:
        complain(f"warning: the lab's ports cannot be noted for workers ({error})")
        complain(f"  start them with {ALLOWED_HOSTS}={','.join(touched)}")


def _generated(shape: str, seed: int, weaknesses: int, kinds: str | None) -> Generated:
    try:
        chosen = CLASSIC if kinds is None else parse_kinds(kinds)
    except ValueError as error:
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"--kinds: {error}") from error
    try:
        return generate_topology(*parse_shape(shape), seed, weaknesses=weaknesses, kinds=chosen)
    except ValueError as error:
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"--generate: {error}") from error


def _planted(chosen: Generated) -> list[str]:
    return [f"planted: {planted}" for planted in chosen.planted]


def _write_plan(
    path: Path,
    topology: Topology,
    where: Callable[[Topology], LabAddresses],
    remarks: list[str],
    *,
    quiet: bool = False,
) -> None:
    try:
        text = plan_text(topology, where(topology), remarks)
    except ValueError as error:
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"--plan: {error}") from error
    _write(path, text, quiet=quiet)


def _write(path: Path, text: str, *, quiet: bool = False) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"{path} cannot be written: {error.strerror}") from error
    if not quiet:
        say(f"written: {path}")


@click.command()
@click.option("--only", type=click.Choice(["control", "load"]),
              help="Only one part: control (runs) or load (measuring). Default: both, a process each.")  # fmt: skip
@clear_errors
@survives_lost_output
def worker(only: str | None) -> None:
    """Run a worker on both queues until Ctrl-C.

    It is configured by TEMPORAL_* and HOLDFAST_* variables.
    """
    # Imported here, because the worker's imports take a second that other commands do not need.
    from operations.processes.worker_process import main  # noqa: PLC0415
    from worker import Part  # noqa: PLC0415

    raise SystemExit(main(Part(only) if only else None))
