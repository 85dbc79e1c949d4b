"""Runs cannot reach what runs Holdfast: on a real server, by any of its ports, or by a name that leads there."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from clients.http import doors
from clients.http.doors import is_shut, shut
from clients.http.reader import Limits, NoAnswerError, Trouble, fetch
from clients.http.requests import PreparedRequest
from clients.load.engine import LoadGenerator
from clients.local.notes import Kind, addresses_of, noted
from clients.local.own_addresses import own_addresses
from clients.settings import Settings
from clients.temporal.embedded import RunningServer, embedded_server
from clients.temporal.embedded_settings import DevServerSettings
from clients.temporal.listening_ports import ports_of_servers_at
from domain.addresses import address_in
from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunFailure
from tests.support.http import http_client
from tests.support.runs.bench import THIS_MACHINE, Bench, brisk_shop
from tests.support.runs.fixtures import opened_bench
from worker import running


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[RunningServer]:
    """Run a server with its Web UI, as `holdfast server` does."""
    async with embedded_server(DevServerSettings(port=0, ui_port=0)) as found:
        yield found


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


async def test_a_plan_cannot_post_to_the_web_ui_of_this_machine(server: RunningServer, tmp_path: Path) -> None:
    """The attack: a workflow of anybody's choice, started through the Web UI. The worker allows every port."""
    posted = f"{server.ui}/api/v1/namespaces/default/workflows/planted"
    forged = {"content-type": "application/json", "x-csrf-token": "forged", "cookie": "_csrf=${env:HOLDFAST_SECRET_X}"}
    async with opened_bench(server.client, tmp_path, brisk_shop()) as bench:
        request = {
            "method": "POST",
            "url": posted,
            "headers": forged,
            "json": {"workflowType": {"name": "Planted"}, "taskQueue": {"name": "nobody"}},
            "repeatable": True,
        }
        handle = await bench.start(bench.small_plan(request=request))
        with pytest.raises(WorkflowFailureError) as raised:
            await handle.result()
        assert bench.lab.state().clean
        assert not bench.lab.calls
    assert isinstance(raised.value.cause, ApplicationError)
    failure = RunFailure.model_validate(raised.value.cause.details[0])
    assert (failure.code, failure.recovery) == (ErrorCode.OUTSIDE_GUARDRAILS, Recovery.NOT_NEEDED)
    assert [(problem.path, "no setting allows" in problem.hint) for problem in failure.problems] == [
        ("request.url", True)
    ]
    assert [run.id async for run in server.client.list_workflows("WorkflowType='Planted'")] == []


async def test_every_port_of_the_server_is_known(server: RunningServer) -> None:
    """Its Web UI, its HTTP API and its metrics.

    All workers know them by the server's note, and this worker by the server's process.
    """
    ui, address = server.ui.removeprefix("http://"), server.address
    noted = addresses_of(Kind.SERVER)
    assert {f"localhost:{port_of(endpoint)}" for endpoint in (ui, address)} <= set(noted)
    rails = Settings(allowed_hosts=[THIS_MACHINE]).guardrails(address)
    listening = ports_of_servers_at({port_of(address)})
    assert {port_of(ui), port_of(address)} <= listening
    assert {f"localhost:{port}" for port in listening} <= set(rails.closed_to)
    # They are known without a note too, as for a server that somebody else started.
    assert {f"localhost:{port}" for port in listening} <= set(rails.never)
    # The Web UI, the HTTP API and the metrics answer HTTP there.
    async with http_client() as client:
        answers = await asyncio.gather(
            *(client.get(f"http://127.0.0.1:{port}/metrics", timeout=5) for port in listening), return_exceptions=True
        )
    assert any(isinstance(answer, httpx.Response) and "temporal" in answer.text for answer in answers)


def test_ports_of_other_programs_are_not_taken_for_the_servers(free_port: int) -> None:
    """A program that holds many ports, like `ssh -L`, closes none of them to runs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port))
        listener.listen()
        assert ports_of_servers_at({free_port}) == set()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite+aiosqlite:///x.db", []),
        ("postgresql+asyncpg://u:p@DB.internal/x", ["db.internal:5432"]),
        ("postgresql+asyncpg://u:p@127.1:6543/x", ["localhost:6543"]),
        (
            "postgresql+asyncpg:///x?host=db1.internal:1111&host=db2.internal",
            ["db1.internal:1111", "db2.internal:5432"],
        ),
        ("postgresql+asyncpg:///x", ["localhost:5432"]),
        ("postgresql+asyncpg://postgres@/x?host=%2Ftmp%2Fsockets", []),
        ("postgresql+asyncpg://u@[2001:db8::9]:5433/x", ["[2001:db8::9]:5433"]),
        ("nonsense", []),
    ],
)
def test_the_store_is_never_reached(url: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGPORT"):
        monkeypatch.delenv(name, raising=False)
    found = own_addresses("temporal.internal:7233", url)
    assert {*expected, "temporal.internal:7233", "localhost:7233", "localhost:8233"} <= set(found)
    assert own_addresses("temporal.internal", url)
    # Each is an address that plans can be compared with.
    assert {str(address_in(one)) for one in found} == set(found)


class Counting(asyncio.Protocol):
    """Counts the bytes that it is sent."""

    received = 0

    def data_received(self, data: bytes) -> None:
        Counting.received += len(data)


async def test_a_name_that_leads_to_a_shut_door_is_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server may lead a name to this machine after every check of the plan.

    The rule holds for load and for control calls alike.
    """
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(Counting, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    resolve = loop.getaddrinfo

    async def rebound(host: str | bytes, *arguments: Any, **more: Any) -> Any:
        name = host if isinstance(host, str) else host.decode()
        return await resolve("127.0.0.1" if name == "cart.shop.internal" else host, *arguments, **more)

    monkeypatch.setattr(loop, "getaddrinfo", rebound)
    request = PreparedRequest(
        method="POST", url=f"http://cart.shop.internal:{port}/", headers={}, body=b"x", timeout=0.5
    )
    async with listener, LoadGenerator() as load:
        async with shut([f"localhost:{port}"]):
            assert (await load.send_once(request)).error_kind == "connect"
            with pytest.raises(NoAnswerError, match="ShutDoor") as raised:
                await fetch("POST", request.url, Limits(seconds=0.5), body=b"x")
            assert raised.value.trouble is Trouble.CONNECT
        assert Counting.received == 0
        # The same address can be reached when the door is not shut.
        assert (await load.send_once(request)).error_kind == "timeout"
        sent = Counting.received
        assert sent > 0
        with pytest.raises(NoAnswerError) as raised:
            await fetch("POST", request.url, Limits(seconds=0.5), body=b"x")
        assert raised.value.trouble is Trouble.TIMEOUT
        assert Counting.received > sent


async def test_a_door_is_shut_by_the_real_addresses_of_a_socket() -> None:
    """In every form of an address, and for this machine's other addresses as well."""
    async with shut(["localhost:7233", "10.0.0.9:5432"]):
        for peer in (("127.0.0.1", 7233), ("::1", 7233, 0, 0), ("::ffff:127.0.0.1", 7233, 0, 0), ("10.0.0.9", 5432)):
            assert is_shut(peer, ("127.0.0.1", 40000)), peer
        assert is_shut(("192.0.2.7", 7233), ("192.0.2.7", 40000))
        assert not is_shut(("192.0.2.7", 7233), ("192.0.2.8", 40000))
        assert not is_shut(("127.0.0.1", 8080), ("127.0.0.1", 40000))
        assert is_shut(None, None)
    assert not is_shut(("127.0.0.1", 7233), ("127.0.0.1", 40000))


async def test_a_door_of_an_embedded_server_opens_when_that_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system may then give its port to a tested service, while the worker still runs."""
    clock = 0.0
    monkeypatch.setattr(doors, "time", SimpleNamespace(monotonic=lambda: clock))
    servers: list[str] = []
    peer, here = ("127.0.0.1", 45001), ("127.0.0.1", 40000)
    async with shut([], lambda: list(servers)):
        assert not is_shut(peer, here)
        # Started later than the worker.
        servers.append("localhost:45001")
        clock += 1
        assert is_shut(peer, here)
        assert is_shut(("192.0.2.7", 45001), ("192.0.2.7", 40000))
        assert not is_shut(("192.0.2.7", 45001), ("192.0.2.8", 40000))
        servers.clear()
        assert not is_shut(peer, here)


async def test_a_worker_shuts_the_doors_of_embedded_servers_that_run(
    idle_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(doors, "_LOOK_EVERY", 0.0)
    peer, here = ("127.0.0.1", 45001), ("127.0.0.1", 40000)
    async with running(idle_bench.temporal, idle_bench.settings):
        assert not is_shut(peer, here)
        with noted(Kind.SERVER, ["localhost:45001"]):
            assert is_shut(peer, here)
        assert not is_shut(peer, here)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
