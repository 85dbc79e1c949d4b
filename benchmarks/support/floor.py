"""The least that a request costs in Python: bytes out, as many bytes in as an answer has, and nothing looked at."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import cast
from urllib.parse import urlsplit


class Floor(asyncio.Protocol):
    """One connection. It sends its request again as soon as an answer's bytes are there, until the end."""

    def __init__(self, request: bytes, size: int, end: float) -> None:
        self.latencies: list[float] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._size, self._end = request, size, end
        self._missing, self._sent = 0, 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._send(self._transport)

    def _send(self, transport: asyncio.Transport) -> None:
        self._missing, self._sent = self._size, time.perf_counter()
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._missing -= len(data)
        if self._missing > 0 or self._transport is None:
            return
        now = time.perf_counter()
        self.latencies.append(now - self._sent)
        if now < self._end:
            self._send(self._transport)
            return
        self._transport.close()
        self.over.set_result(None)


async def floor(url: str, connections: int, seconds: float) -> tuple[list[float], float]:
    """Return the latency of each request, and how long they took together, both in seconds.

    Every answer must have as many bytes as the first.
    """
    parts = urlsplit(url)
    assert parts.hostname is not None
    where, request = (parts.hostname, parts.port or 80), f"GET {parts.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    size = await asyncio.to_thread(_size_of_answer, where, request)
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    made = [
        await loop.create_connection(lambda: Floor(request, size, began + seconds), *where) for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.over for _, protocol in made))
    latencies = [latency for _, protocol in made for latency in protocol.latencies]
    return latencies, time.perf_counter() - began


def _size_of_answer(where: tuple[str, int], request: bytes) -> int:
    with socket.create_connection(where, timeout=5) as connection:
        connection.sendall(request)
        connection.settimeout(0.5)
        size = 0
        try:
            while received := len(connection.recv(65_536)):
                size += received
        except TimeoutError:
            # Nothing more comes on a connection that is kept open.
            return size
        return size
