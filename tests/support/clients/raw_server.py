"""A server that answers any bytes, even malformed, and keeps every request byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Answer = Callable[[asyncio.StreamWriter], object]


@dataclass
class Raw:
    """Reads requests without a body, and gives prepared answers.

    The n-th request of a connection gets the n-th answer, and the last answer repeats for ever.
    """

    port: int = 0
    answers: list[bytes | Answer] = field(default_factory=list)
    """`b""` closes the connection; a function may do anything with it."""
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        position = 0
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers[min(position, len(self.answers) - 1)]
                position += 1
                if callable(answer):
                    outcome = answer(writer)
                    if asyncio.iscoroutine(outcome):
                        await outcome
                elif answer:
                    writer.write(answer)
                    await writer.drain()
                else:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def raw_server(*answers: bytes | Answer) -> AsyncIterator[Raw]:
    raw = Raw(answers=list(answers))
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    try:
        yield raw
    finally:
        server.close()
        await asyncio.sleep(0)
