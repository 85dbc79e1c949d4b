"""Listening sockets that can be closed, and reopened on the same port."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage

from lab.settings import PortChoice

HOST = "127.0.0.1"
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

LARGEST_BODY = 16 * 1024**2
"""Bytes of a body, of request or answer. Bodies are held whole in memory, and larger ones are refused."""

LARGEST_HEADER = 64 * 1024
"""Bytes of one header line, of request or answer. Tokens of single sign-on exceed the usual 8 KiB."""

_FILES_EACH = 40
"""Open files per service: a listener, its guard, and connections. Eight concurrent callers keep both ends of their
connections open."""


def allow_sockets(services: int) -> None:
    """Raise this process's limit of open files, as far as allowed.

    The new limit is what this number of services needs under load. Many systems start with 1,024 or less. Two hundred
    services need more, for their listeners and the calls between them. If the limit cannot be raised, the lab starts as
    far as it gets, and the error shows why it gets no further.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 256 + services * _FILES_EACH
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port))
    except BaseException:
        sock.close()
        raise
    return sock


def bind(preferred: int | None, choice: PortChoice) -> socket.socket:
    """Bind a port as `choice` requires."""
    if choice is PortChoice.PREFERRED and preferred is not None:
        with contextlib.suppress(OSError):
            return _bound(preferred)
    return _bound(0)


def _request(
    message: RawRequestMessage,
    payload: aiohttp.StreamReader,
    protocol: web.RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY)


class Listener:
    """One address that can be opened and closed.

    Closed means closed: clients are refused, and their open connections are dropped.

    While the address is closed, a second socket keeps the port: it is bound but does not listen. Otherwise another
    process could get the port, or an outgoing connection could get it as its local port (and would then connect to
    itself). Only Linux lets two sockets share a port like this.
    """

    def __init__(self, handler: Handler, preferred: int | None, choice: PortChoice) -> None:
        self._handler = handler
        self._unused: socket.socket | None = bind(preferred, choice)
        self.port: int = self._unused.getsockname()[1]
        self._guard = _bound(self.port) if sys.platform == "linux" else None
        self._runner: web.ServerRunner | None = None
        self._lock = asyncio.Lock()

    @property
    def url(self) -> str:
        """The base URL of this address."""
        return f"http://{HOST}:{self.port}"

    async def settle(self, wanted_open: Callable[[], bool]) -> None:
        """Open or close the address, as `wanted_open` demands.

        `wanted_open` is called under the lock, so that the last change wins.
        """
        # Shielded, because a half-closed socket would neither serve nor give its port back.
        await asyncio.shield(self._settle(wanted_open))

    async def close(self) -> None:
        """Close the address for good and give the port back."""
        await self.settle(lambda: False)
        for sock in (self._unused, self._guard):
            if sock is not None:
                sock.close()

    async def _settle(self, wanted_open: Callable[[], bool]) -> None:
        async with self._lock:
            if wanted_open() and self._runner is None:
                await self._open()
            elif not wanted_open() and self._runner is not None:
                await self._close(self._runner)

    async def _open(self) -> None:
        # The first opening uses the socket that chose the port. Later ones bind the same port again.
        sock = self._unused or _bound(self.port)
        self._unused = None
        server = web.Server(
            self._handle,
            request_factory=_request,
            access_log=None,
            keepalive_timeout=75,
            # What arrives compressed is passed on compressed, with the header that declares it.
            auto_decompress=False,
            max_line_size=LARGEST_HEADER,
            max_field_size=LARGEST_HEADER,
        )
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        await web.SockSite(runner, sock, backlog=1024).start()
        self._runner = runner

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        # Without this answer, a client that asks first would wait about a second before it sends its body.
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await self._handler(request)

    async def _close(self, runner: web.ServerRunner) -> None:
        self._runner = None
        for site in list(runner.sites):
            await site.stop()
        if runner.server is not None:
            for connection in runner.server.connections:
                if connection.transport is not None:
                    connection.transport.abort()
        await runner.cleanup()
