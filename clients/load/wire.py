"""A pool of connections to many servers, with cached DNS and TLS.

It uses no proxy, cookie or redirect, and never sends a request twice.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from typing import NamedTuple

from clients.http.doors import is_shut
from clients.load.connection import TIMEOUT, Connection, NoAnswerError
from clients.load.encoding import Encoded, Origin

IDLE_SECONDS = 3.0
"""Longest idle time of a connection that is reused, in seconds.

Servers close idle connections after five seconds or more. A request that races with such a close would count as an
error of the system.
"""

CONNECT = "connect"
CONNECT_TIMEOUT = "connect timeout"

_RESOLVED_SECONDS = 60.0


class Answer(NamedTuple):
    """A complete answer, or why there is none."""

    status: int | None
    body: bytes
    kind: str
    """Error kind; empty if there is a status."""
    ended_ns: int
    """End of the exchange, by `time.perf_counter_ns`."""
    head: bytes = b""
    """Head of the answer, for `encoding_of`."""
    received: int = 0
    """Bytes of the body received, kept or not."""


class Wire:
    """A connection pool of one running event loop.

    Each exchange has a connection to itself while it lasts.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._free: dict[Origin, list[Connection]] = {}
        self._addresses: dict[Origin, tuple[float, list[str]]] = {}
        self._ssl: ssl.SSLContext | None = None

    async def exchange(self, request: Encoded, keep: int) -> Answer:
        """Send one request and read its answer to the end.

        Failures of the server or the network are returned as an `Answer`, never raised.
        """
        deadline = self._loop.time() + request.timeout
        connection: Connection | None = None
        try:
            connection = self._take_idle(request.origin) or await self._connected(request, deadline)
            await connection.exchange(request, keep, deadline)
        except NoAnswerError as error:
            return Answer(None, b"", error.kind, connection.ended_ns if connection else time.perf_counter_ns())
        connection.idle_since = self._loop.time()
        if connection.usable:
            self._free.setdefault(request.origin, []).append(connection)
        else:
            connection.close()
        return Answer(connection.status, connection.body, "", connection.ended_ns, connection.head, connection.received)

    def close(self) -> None:
        """Close all idle connections."""
        for connections in self._free.values():
            for connection in connections:
                connection.close()
        self._free.clear()

    def _take_idle(self, origin: Origin) -> Connection | None:
        """Take an idle connection that can be reused."""
        # Take the most recently used one, so that surplus connections age and are closed.
        free = self._free.get(origin)
        oldest = self._loop.time() - IDLE_SECONDS
        while free:
            connection = free.pop()
            if connection.usable and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

    async def _connected(self, request: Encoded, deadline: float) -> Connection:
        now = self._loop.time()
        limit = deadline
        kind = TIMEOUT
        if request.connect_timeout is not None and now + request.connect_timeout < deadline:
            limit = now + request.connect_timeout
            kind = CONNECT_TIMEOUT
        try:
            async with asyncio.timeout_at(limit):
                return await self._connect(request.origin)
        except TimeoutError as error:
            raise NoAnswerError(kind) from error
        except (OSError, UnicodeError) as error:
            # The host refused, is unknown or unreachable, or has the wrong certificate. Look it up again next time.
            self._addresses.pop(request.origin, None)
            raise NoAnswerError(CONNECT) from error

    async def _connect(self, origin: Origin) -> Connection:
        context, name = (self._context(), origin.host) if origin.secure else (None, None)
        refused: OSError | None = None
        for address in await self._resolve(origin):
            try:
                transport, connection = await self._loop.create_connection(
                    Connection, address, origin.port, ssl=context, server_hostname=name
                )
            except OSError as error:
                refused = refused or error
            else:
                if is_shut(transport.get_extra_info("peername"), transport.get_extra_info("sockname")):
                    connection.close()
                    raise OSError(f"{origin.host} is where Temporal or the store is")
                return connection
        # Never a TimeoutError, though the kernel's own timeout raises one: the caller takes those for our limits.
        raise OSError(f"{origin.host} cannot be connected to") from refused

    async def _resolve(self, origin: Origin) -> list[str]:
        """Resolve a host, at most once a minute."""
        # Without this cache, latencies of a system without keep-alive would include DNS.
        cached = self._addresses.get(origin)
        if cached is None or cached[0] < self._loop.time():
            infos = await self._loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(info[4][0]) for info in infos))
            cached = self._addresses[origin] = (self._loop.time() + _RESOLVED_SECONDS, addresses)
        return cached[1]

    def _context(self) -> ssl.SSLContext:
        if self._ssl is None:
            self._ssl = ssl.create_default_context()
        return self._ssl
