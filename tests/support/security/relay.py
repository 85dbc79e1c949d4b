"""A relay that passes connections on to a server, until it is made to answer by itself as no server should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import urlsplit

from tests.support.security.hostile_server import ANSWERS

LOGIN = b'HTTP/1.1 200 OK\r\nContent-Length: 23\r\nConnection: close\r\n\r\n{"access_token":"abcd"}'


def always(_: bytes) -> bool:
    return True


def reading(head: bytes) -> bool:
    return head.startswith(b"GET ")


@dataclass
class Relay:
    """Stands in front of one server. `/login` is its own, and gives a token."""

    target: str
    names: Sequence[str]
    """The hostile answers, given in turn."""
    url: str = ""
    hostile: bool = False
    longest: int | None = None
    """The most hostile answers that it gives. None: any number."""
    which: Callable[[bytes], bool] = always
    """Selects the requests that get hostile answers, by their heads."""
    given: list[str] = field(default_factory=list)
    """Hostile answers that were given."""
    passed: int = 0

    def __post_init__(self) -> None:
        self._next = cycle(self.names)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            if self.hostile and self.which(head) and (self.longest is None or len(self.given) < self.longest):
                name = next(self._next)
                self.given.append(name)
                await ANSWERS[name](writer)
            elif head.split(b" ")[1] == b"/login":
                writer.write(LOGIN)
                await writer.drain()
            else:
                self.passed += 1
                await self._pass_on(head, reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(self.target)
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        # Each connection carries one request, so that the next request can be answered differently.
        first, rest = head.split(b"\r\n", 1)
        kept = [line for line in rest.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        back.write(b"\r\n".join([first, b"Connection: close", *kept]))
        up = asyncio.create_task(_pump(reader, back))
        try:
            await _pump(there, writer)
        finally:
            up.cancel()
            back.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()


@asynccontextmanager
async def relay(target: str, names: Sequence[str]) -> AsyncIterator[Relay]:
    """Run a relay on a free port."""
    made = Relay(target.rstrip("/"), names)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
