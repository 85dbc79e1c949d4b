"""A server whose answers take a known time, and which records how long each of them really took.

`python -m benchmarks.support.truth_server` prints its port. The path decides how long an answer takes: `/fixed`,
`/lognormal`, `/tail`, `/stall`. `/truth` returns the recorded times since its last call, in nanoseconds. The time of a
request starts when its last byte has been read, and ends when its answer has been passed to the kernel.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable
from typing import cast

import uvloop

from clients.load.pace import until

FIXED_NS = 5_000_000
MEDIAN_NS, SCALE = 20_000_000, 0.5
SLOW_NS, SLOW_SHARE = 200_000_000, 0.01
STALL_AFTER, STALL_NS = 200, 1_000_000_000
"""Number of the request that starts the stall, and the length of the stall."""

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "


class Truth:
    """How long answers should take, and how long they took."""

    def __init__(self) -> None:
        self.waited: list[int] = []
        self._rng = random.Random(1)  # noqa: S311 - waits, not secrets
        self._asked = 0
        self._stalled_until = 0
        self.kinds: dict[str, Callable[[int], int]] = {
            "/fixed": lambda _: FIXED_NS,
            "/lognormal": lambda _: round(MEDIAN_NS * self._rng.lognormvariate(0, SCALE)),
            "/tail": lambda _: SLOW_NS if self._rng.random() < SLOW_SHARE else FIXED_NS,
            "/stall": self._stalling,
        }

    def _stalling(self, now: int) -> int:
        """Like `/fixed`, except for one stall. Requests that arrive during the stall wait for its end."""
        self._asked += 1
        if self._asked == STALL_AFTER:
            self._stalled_until = now + STALL_NS
        return max(FIXED_NS, self._stalled_until - now)

    def told(self) -> bytes:
        """Return all recorded times since the last call, and forget them."""
        waited, self.waited, self._asked = self.waited, [], 0
        return json.dumps(waited).encode()


class Answering(asyncio.Protocol):
    """One connection. Its requests have no body, and arrive one at a time."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._transport: asyncio.Transport | None = None
        self._read = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        begun = time.perf_counter_ns()
        self._read += data
        if not self._read.endswith(b"\r\n\r\n"):
            return
        path, self._read = self._read.split(b" ", 2)[1].decode(), b""
        if path == "/truth":
            self._write(self._truth.told())
            return
        due = begun + self._truth.kinds[path](begun)
        task = asyncio.get_running_loop().create_task(self._answer(begun, due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, begun: int, due: int) -> None:
        await until(due)
        self._write(b"ok")
        self._truth.waited.append(time.perf_counter_ns() - begun)

    def _write(self, body: bytes) -> None:
        assert self._transport is not None
        self._transport.write(_HEAD + str(len(body)).encode() + b"\r\n\r\n" + body)


async def serve() -> None:
    """Serve until the process is ended."""
    truth = Truth()
    server = await asyncio.get_running_loop().create_server(lambda: Answering(truth), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    sys.exit(uvloop.run(serve()))
