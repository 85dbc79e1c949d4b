"""A test's real service: it keeps every request byte for byte, and answers with the test's exact bytes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple, Self

from yarl import URL


class Arrived(NamedTuple):
    """A request as it was on the wire, with a chunked body put together."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for header, value in self.headers if header.lower() == name.lower()]


Answering = Callable[[Arrived], Awaitable[bytes]]


def http(body: bytes = b"", *headers: str, status: str = "200 OK") -> bytes:
    """Build an answer with its length and any further headers."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


class RealService:
    """Listens on a free port of this machine. Every connection serves one request."""

    def __init__(self, answer: bytes | Answering = b"") -> None:
        self.answer: bytes | Answering = answer or http(b"hello", "Content-Type: text/plain")
        self.arrived: list[Arrived] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            arrived = await read_request(reader)
            self.arrived.append(arrived)
            writer.write(self.answer if isinstance(self.answer, bytes) else await self.answer(arrived))
            await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> Arrived:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in head[1:] if line]
    arrived = Arrived(head[0], [(name, value.strip()) for name, _, value in pairs], b"")
    if arrived.all("transfer-encoding"):
        return arrived._replace(body=await _chunks(reader))
    return arrived._replace(body=await reader.readexactly(int((arrived.all("content-length") or ["0"])[0])))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


async def exchange(url: str, request: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
    """Send these exact bytes, and read the answer to its end.

    Returns status line, headers and body.
    """
    reader, writer = await asyncio.open_connection(URL(url).host, URL(url).port)
    writer.write(request)
    await writer.drain()
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(": ") for line in lines[1:]]
    return lines[0], [(name, value) for name, _, value in pairs], body


def asking(target: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Build a request that ends its connection."""
    length = [f"Content-Length: {len(body)}"] if body else []
    head = [f"{method} {target} HTTP/1.1", "Host: lab", "Connection: close", *length, *headers, "", ""]
    return "\r\n".join(head).encode("latin-1") + body
