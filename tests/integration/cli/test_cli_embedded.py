"""The embedded server: taken ports, existing databases, and how long runs are kept."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from clients.temporal import embedded, embedded_locks
from clients.temporal.connection import ensure_search_attributes, has_pollers, server_error
from clients.temporal.embedded import RunningServer, embedded_server, free_port
from clients.temporal.embedded_settings import DEFAULT_FILE, DevServerSettings
from domain.errors import ErrorCode, HoldfastError
from domain.names import SearchAttribute, WorkflowType

FREE = DevServerSettings(port=0, ui_port=0)


@pytest.fixture
def taken() -> Iterator[int]:
    """Yield a port on which somebody else listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


async def test_a_taken_port_is_replaced_and_reported(taken: int) -> None:
    """Ports are no reason to fail, and the user sees which port is used instead."""
    async with embedded_server(FREE.model_copy(update={"port": taken}), ui=False) as server:
        assert server.address != f"127.0.0.1:{taken}"
        assert server.moved == [f"port {taken} of Temporal is taken: using {server.address.rpartition(':')[2]}"]
        assert server.ui == ""
        assert not await has_pollers(server.client, "nobody")


async def test_servers_that_start_at_once_have_different_ports() -> None:
    """All prefer the same free port. None mistakes the server that answers there first for its own."""
    settings = FREE.model_copy(update={"port": free_port(FREE.ip, 0)})
    async with AsyncExitStack() as stack:
        starting = (stack.enter_async_context(embedded_server(settings, ui=False)) for _ in range(3))
        servers = await asyncio.gather(*starting)
        assert len({server.address for server in servers}) == 3
        for number, server in enumerate(servers):
            await server.client.start_workflow(WorkflowType.RESILIENCE_TEST, id=f"of-{number}", task_queue="nobody")
        for number, server in enumerate(servers):
            described = [await _is_there(server.client, f"of-{candidate}") for candidate in range(3)]
            assert described == [candidate == number for candidate in range(3)]


async def test_a_port_that_is_taken_before_the_server_starts_costs_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a connection, for example, which answers nobody."""
    with socket.socket() as holder:
        holder.bind((FREE.ip, 0))
        tried: list[int] = []

        def chosen(ip: str, _preferred: int) -> int:
            # The first attempt cannot succeed. The second may take its time.
            patience = usual if tried else timedelta(seconds=1)
            monkeypatch.setattr(embedded, "START_PATIENCE", patience)
            tried.append(free_port(ip, 0) if tried else holder.getsockname()[1])
            return tried[-1]

        usual = embedded.START_PATIENCE
        monkeypatch.setattr(embedded, "free_port", chosen)
        async with embedded_server(FREE, ui=False) as server:
            assert not await has_pollers(server.client, "nobody")
            assert server.address == f"{FREE.ip}:{tried[1]}"


def test_a_free_port_is_none_that_a_connection_may_take() -> None:
    """Systems take the ports of outgoing connections from 32,768 on: with many, a server would often be too late."""
    assert all(free_port(FREE.ip, 0) < 32_768 for _ in range(50))


async def _is_there(client: Client, workflow_id: str) -> bool:
    """Ask for the workflow itself: the server's lists may lag behind."""
    try:
        await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def test_finished_runs_are_kept_for_30_days(server: RunningServer) -> None:
    """The server's own default is shorter, and its command line cannot change it."""
    described = await server.client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    assert described.config.workflow_execution_retention_ttl.seconds == 30 * 24 * 3600


async def test_an_existing_database_is_reused(tmp_path: Path) -> None:
    """Runs survive a restart. The search attributes exist too, which the server's flags would not add."""
    settings = FREE.model_copy(update={"database_file": str(tmp_path / "deep" / "temporal.db")})
    async with embedded_server(settings, ui=False) as first:
        await first.client.start_workflow(WorkflowType.RESILIENCE_TEST, id="survivor", task_queue="nobody")
    async with embedded_server(settings, ui=False) as second:
        described = await second.client.get_workflow_handle("survivor").describe()
        assert described.workflow_type == WorkflowType.RESILIENCE_TEST
        assert await ensure_search_attributes(second.client)


async def test_two_servers_never_share_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second server is refused, with the address of the first. When that has ended, the file is free again."""
    monkeypatch.setattr(embedded_locks, "LOCK_PATIENCE", 0.2)
    settings = FREE.model_copy(update={"database_file": str(tmp_path / "temporal.db")})
    async with embedded_server(settings, ui=False) as first:
        with pytest.raises(HoldfastError, match=first.address) as refused:
            async with embedded_server(settings, ui=False):
                pass
        assert refused.value.code is ErrorCode.EXECUTION_ALREADY_RUNNING
    async with embedded_server(settings, ui=False):
        pass


async def test_search_attributes_may_be_registered_again(client: Client) -> None:
    """Every worker registers them when it starts."""
    assert await ensure_search_attributes(client)
    assert await ensure_search_attributes(client)


async def test_a_file_that_is_not_a_database_is_not_touched(tmp_path: Path) -> None:
    """A typing error in --database costs nothing."""
    letter = tmp_path / "letter.txt"
    letter.write_text("this is no database")
    with pytest.raises(HoldfastError, match="not a database of Temporal"):
        async with embedded_server(FREE.model_copy(update={"database_file": str(letter)}), ui=False):
            pass
    assert letter.read_text() == "this is no database"


async def test_a_server_that_cannot_start_raises_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's RuntimeError is not passed on."""
    monkeypatch.setattr(embedded, "START_PATIENCE", timedelta(seconds=1))
    broken = tmp_path / "temporal.db"
    broken.write_bytes(b"SQLite format 3\0 and then nothing that makes sense")
    with pytest.raises(HoldfastError, match="does not start") as failed:
        async with embedded_server(FREE.model_copy(update={"database_file": str(broken)}), ui=False):
            pass
    assert failed.value.code is ErrorCode.PEER_UNREACHABLE


def test_the_file_in_the_repository_matches_the_design() -> None:
    """Standard ports, a kept database, 30 days, and every search attribute by name."""
    settings = DevServerSettings.load()
    assert (settings.port, settings.ui_port, settings.retention_days) == (7233, 8233, 30)
    assert settings.database_file == ".holdfast/temporal.db"
    assert yaml.safe_load(DEFAULT_FILE.read_text())["search_attributes"] == list(SearchAttribute)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot: 1", "prot"),
        ("port: many", "port"),
        ("port: [", "dev.yaml:1:"),
        ("port: 1\nport: 2", "dev.yaml:2:.*twice"),
        ("ip: !!python/name:os.system x", "tag"),
        ("[" * 900, "nested"),
        (
            "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + "".join(f"a{n}: &{chr(98 + n)} [0{(',*' + chr(97 + n)) * 9}]\n" for n in range(6)),
            "expands",
        ),
        ("# " + "x" * 2_000_000, "larger"),
        ("retention_days: 0", "retention_days"),
    ],
)
def test_an_invalid_file_is_reported_with_its_field(tmp_path: Path, text: str, words: str) -> None:
    """This includes a typing error, which would otherwise silently mean the default."""
    path = tmp_path / "dev.yaml"
    path.write_text(text)
    with pytest.raises(HoldfastError, match=words):
        DevServerSettings.load(path)


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (RPCStatusCode.NOT_FOUND, "Namespace nope is not found.", ErrorCode.VALIDATION_ERROR),
        (RPCStatusCode.NOT_FOUND, "workflow not found", ErrorCode.NOT_FOUND),
        (RPCStatusCode.PERMISSION_DENIED, "Request unauthorized.", ErrorCode.PEER_REJECTED),
        (RPCStatusCode.INVALID_ARGUMENT, "too long", ErrorCode.PEER_REJECTED),
        (RPCStatusCode.UNAVAILABLE, "tcp connect error", ErrorCode.PEER_UNREACHABLE),
    ],
)
def test_errors_of_the_server_get_different_codes(status: RPCStatusCode, message: str, code: ErrorCode) -> None:
    """A refusal, an unknown namespace and a silent server are different things to a person."""
    assert server_error(RPCError(message, status, b"")).code is code
