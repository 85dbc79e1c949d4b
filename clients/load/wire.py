"""Connections to many servers: kept, resolved, encrypted. No proxy, no cookie, no redirect, and nothing sent twice."""

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
"""A connection that was idle longer is not used again: servers close theirs after five seconds or more, and a request
that meets the closing would count as an error of the system.
"""

CONNECT = "connect"
CONNECT_TIMEOUT = "connect timeout"

_RESOLVED_SECONDS = 60.0


class Answer(NamedTuple):
    """A whole answer, or why there is none."""

    status: int | None
    body: bytes
    kind: str
    """Empty where there is a status."""
    ended_ns: int
    """By `time.perf_counter_ns`."""
    head: bytes = b""
    """For `encoding_of`."""
    received: int = 0
    """Bytes of the body, kept or not."""


class Wire:
    """Exchanges requests for answers, each on a connection of its own while it lasts. Belongs to one running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._free: dict[Origin, list[Connection]] = {}
        self._addresses: dict[Origin, tuple[float, list[str]]] = {}
        self._ssl: ssl.SSLContext | None = None

    async def exchange(self, request: Encoded, keep: int) -> Answer:
        """Send one request and read its answer to the end. Never raises for what the other side does."""
        deadline = self._loop.time() + request.timeout
        connection: Connection | None = None
        try:
            connection = self._kept(request.origin) or await self._connected(request, deadline)
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
        """Drop every connection that is kept."""
        for connections in self._free.values():
            for connection in connections:
                connection.close()
        self._free.clear()

    def _kept(self, origin: Origin) -> Connection | None:
        """The one used last, so that those which nobody needs grow old."""
        free = self._free.get(origin)
        oldest = self._loop.time() - IDLE_SECONDS
        while free:
            connection = free.pop()
            if connection.usable and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

    async def _connected(self, request: Encoded, deadline: float) -> Connection:
        now, limit, kind = self._loop.time(), deadline, TIMEOUT
        if request.connect_timeout is not None and now + request.connect_timeout < deadline:
            limit, kind = now + request.connect_timeout, CONNECT_TIMEOUT
        try:
            async with asyncio.timeout_at(limit):
                return await self._connect(request.origin)
        except TimeoutError as error:
            raise NoAnswerError(kind) from error
        except (OSError, UnicodeError) as error:
            # Refused, unknown, unreachable, or not who it should be.
            self._addresses.pop(request.origin, None)
            raise NoAnswerError(CONNECT) from error

    async def _connect(self, origin: Origin) -> Connection:
        context, name = (self._context(), origin.host) if origin.secure else (None, None)
        refused: OSError | None = None
        for address in await self._resolved(origin):
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
        # As one that is no TimeoutError, which the kernel's own patience may be: that one is of our limits.
        raise OSError(f"{origin.host} cannot be connected to") from refused

    async def _resolved(self, origin: Origin) -> list[str]:
        """Addresses of a host, asked for once a minute: else a system without keep-alive is measured with its DNS."""
        found = self._addresses.get(origin)
        if found is None or found[0] < self._loop.time():
            told = await self._loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            addresses = list(dict.fromkeys(str(one[4][0]) for one in told))
            found = self._addresses[origin] = (self._loop.time() + _RESOLVED_SECONDS, addresses)
        return found[1]

    def _context(self) -> ssl.SSLContext:
        if self._ssl is None:
            self._ssl = ssl.create_default_context()
        return self._ssl
