"""The load generator's own HTTP: bytes sent as written, answers read to their end, nothing sent twice."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from clients.load import wire as wire_module
from clients.load.connection import HEAD_LIMIT, INTERIM_LIMIT, OTHER
from clients.load.engine import LoadGenerator
from clients.load.pace import Closed
from domain.traffic.exchange import RequestSample
from tests.support.clients.raw_server import raw_server
from tests.support.clients.requests import request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def told(sample: RequestSample) -> tuple[int | None, str]:
    return sample.status, sample.error_kind


@pytest.mark.parametrize(
    ("given", "target"),
    [
        ("", "/"),
        ("?", "/?"),
        ("?a=b", "/?a=b"),
        ("/a/../b/./%2e%2E/c?d='\"|^`{}&&", "/a/../b/./%2e%2E/c?d='\"|^`{}&&"),
        ("//x//?", "//x//?"),
        ("/x?u=http://a/b?c", "/x?u=http://a/b?c"),
    ],
)
async def test_the_target_is_sent_as_it_is_written(given: str, target: str) -> None:
    """No library may resolve its dots or escape it in its own way: rules match it letter by letter."""
    async with raw_server(OK) as server, LoadGenerator() as load:
        sample = await load.send_once(request(server.url + given))
    assert told(sample) == (200, "")
    assert server.heads[0].split(b"\r\n")[0] == f"GET {target} HTTP/1.1".encode()


async def test_headers_are_sent_as_they_are_written() -> None:
    """In their case and order, with UTF-8 beyond ASCII. Of ours there is only what HTTP needs."""
    headers = {"x-ODD-Case": "a  b", "Z": "", "a": "ü", "user-agent": "mine"}
    async with raw_server(OK) as server, LoadGenerator() as load:
        await load.send_once(request(f"{server.url}/x", headers=headers))
    assert server.heads[0].decode() == (
        f"GET /x HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nx-ODD-Case: a  b\r\nZ: \r\na: ü\r\nuser-agent: mine\r\n"
        "Accept: */*\r\n\r\n"
    )


async def test_connecting_does_not_count_towards_the_read_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = wire_module.Wire._connected

    async def slowly(*args: Any) -> Any:
        await asyncio.sleep(0.3)
        return await connect(*args)

    monkeypatch.setattr(wire_module.Wire, "_connected", slowly)
    async with raw_server(OK) as server, LoadGenerator() as load:
        assert told(await load.send_once(request(server.url, read_timeout=0.2))) == (200, "")


async def test_connections_are_reused() -> None:
    """There are as many as are needed at once, and no more."""
    async with raw_server(OK) as server, LoadGenerator() as load:
        samples = await load.block(request(server.url), Closed(3), 30)
    assert [told(sample) for sample in samples] == [(200, "")] * 30
    assert server.connections == 3


async def test_a_connection_that_was_idle_for_long_is_not_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server may be closing it at that moment, which would count as an error of the system."""
    async with raw_server(OK) as server, LoadGenerator() as load:
        await load.send_once(request(server.url))
        monkeypatch.setattr(wire_module, "IDLE_SECONDS", 0.0)
        await load.send_once(request(server.url))
    assert server.connections == 2


async def test_a_dropped_kept_connection_is_an_error_and_nothing_is_sent_again() -> None:
    """A request that is not counted would be load that nobody planned."""
    async with raw_server(OK, b"") as server, LoadGenerator() as load:
        samples = [await load.send_once(request(server.url)) for _ in range(2)]
    assert [told(sample) for sample in samples] == [(200, ""), (None, "disconnected")]
    assert len(server.heads) == 2


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await writer.drain()
    writer.close()


async def until_the_end(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the")
    await writer.drain()
    writer.write(b" end")
    writer.close()


async def in_two_pieces(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Enc")
    await writer.drain()
    await asyncio.sleep(0.01)
    writer.write(b"oding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: x\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize(
    ("answer", "status", "kind", "body"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, "", ""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n", 302, "", ""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, 200, "", "ok"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno", 503, "status 503", "no"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x00\x01",
            101,
            "status 101",
            "",
        ),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "", "ok"),
        (OK + OK, 200, "", "ok"),
        (OK + b"rubbish", 200, "", "ok"),
        (until_the_end, 200, "", "to the end"),
        (in_two_pieces, 200, "", "abcdefg"),
        (cut, None, "disconnected", ""),
        (close, None, "disconnected", ""),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None, "other", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", None, "other", ""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n", None, "other", ""),
    ],
)
async def test_answers_are_read_to_their_end(answer: bytes, status: int | None, kind: str, body: str) -> None:
    """The end may be marked in any way. An answer that breaks off or is not HTTP is an error.

    Each is requested twice, which shows that a kept connection is sound.
    """
    async with raw_server(answer) as server, LoadGenerator() as load:
        for _ in range(2):
            sample, read = await load.send_and_read(request(server.url, timeout=2.0))
            assert (*told(sample), read) == (status, kind, body)
            assert sample.latency_us >= 0


async def test_the_answer_to_a_head_has_no_body() -> None:
    """Its headers may announce a body. The connection serves the next request."""
    answer = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"
    async with raw_server(answer) as server, LoadGenerator() as load:
        samples = await load.block(request(server.url, method="HEAD"), Closed(1), 3)
    assert [told(sample) for sample in samples] == [(200, "")] * 3
    assert server.connections == 1


async def test_a_body_is_read_to_its_end_and_only_its_beginning_is_kept() -> None:
    """Even a body that is larger than anything kept."""
    long = b"x" * 3_000_000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(long), long)
    async with raw_server(answer) as server, LoadGenerator() as load:
        done = await load.measure(request(server.url), requests=3, concurrency=1)
    assert len(done.last_body) == 4_096
    assert [told(sample) for sample in done.samples] == [(200, "")] * 3
    assert server.connections == 1


async def silent(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(5)


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
    for _ in range(8):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def test_read_timeouts_and_total_timeouts_are_different_errors() -> None:
    """A read timeout limits a single silence, the total limits everything."""
    async with raw_server(silent) as server, LoadGenerator() as load:
        short_read = await load.send_once(request(server.url, read_timeout=0.1))
        short_total = await load.send_once(request(server.url, timeout=0.1))
    assert told(short_read) == (None, "read timeout")
    assert told(short_total) == (None, "timeout")
    async with raw_server(dripping) as server, LoadGenerator() as load:
        assert told(await load.send_once(request(server.url, read_timeout=2.0))) == (200, "")
        assert told(await load.send_once(request(server.url, timeout=0.15, read_timeout=2.0))) == (None, "timeout")


@pytest.fixture
def full() -> Iterator[str]:
    """Yield a listener that accepts no more connections: its queue is full."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for client in (first, second):
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_connecting_has_its_own_limit_and_error(full: str) -> None:
    """It differs from a refused connection and from the total timeout."""
    async with LoadGenerator() as load:
        kinds = [
            (await load.send_once(request(full, connect_timeout=0.1))).error_kind,
            (await load.send_once(request(full, timeout=0.1))).error_kind,
            (await load.send_once(request(full, timeout=0.1, connect_timeout=3.0))).error_kind,
            (await load.send_once(request("http://127.0.0.1:9", connect_timeout=3.0))).error_kind,
        ]
    assert kinds == ["connect timeout", "timeout", "timeout", "connect"]


async def test_an_unknown_host_is_a_failed_connection() -> None:
    """It looks like a host that refuses connections."""
    async with LoadGenerator() as load:
        assert told(await load.send_once(request("http://nowhere.invalid/"))) == (None, "connect")


@asynccontextmanager
async def encrypted(folder: Path) -> AsyncIterator[tuple[int, Path]]:
    """Run a TLS server with a self-signed certificate for localhost."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout {key} -out {certificate} -subj /CN=localhost"
    subprocess.run([*command.split(), "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)  # noqa: S603
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], certificate
    finally:
        server.close()
        await asyncio.sleep(0)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl, which is not here")
async def test_a_server_must_have_a_trusted_certificate_for_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS, any other certificate is a failed connection."""
    async with encrypted(tmp_path) as (port, certificate):
        async with LoadGenerator() as load:
            assert told(await load.send_once(request(f"https://localhost:{port}/"))) == (None, "connect")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with LoadGenerator() as load:
            samples = await load.block(request(f"https://localhost:{port}/"), Closed(2), 6)
            assert [told(sample) for sample in samples] == [(200, "")] * 6
            assert told(await load.send_once(request(f"https://127.0.0.1:{port}/"))) == (None, "connect")


async def test_a_cancelled_request_leaves_no_connection_behind() -> None:
    """Its answer would otherwise be taken for that of the next request."""
    async with raw_server(silent, OK) as server, LoadGenerator() as load:
        sending = asyncio.create_task(load.send_once(request(server.url)))
        while not server.heads:
            await asyncio.sleep(0.01)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        server.answers = [OK]
        assert told(await load.send_once(request(server.url))) == (200, "")
        assert server.connections == 2


INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (INTERIM * INTERIM_LIMIT + OK, ""),
        (INTERIM * (INTERIM_LIMIT + 1) + OK, OTHER),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (HEAD_LIMIT - 100) + b"\r\nContent-Length: 2\r\n\r\nok", ""),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_LIMIT + b"\r\nContent-Length: 2\r\n\r\nok", OTHER),
    ],
    ids=["100 interim", "101 interim", "long head", "too long a head"],
)
async def test_heads_and_interim_answers_have_limits(answer: bytes, kind: str) -> None:
    async with raw_server(answer) as server, LoadGenerator() as load:
        assert (await load.send_once(request(server.url))).error_kind == kind
