"""One kept connection, and one exchange at a time on it. HTTP/1.1 is read by llhttp, the parser of Node.

What runs for every request is kept short: a microsecond here is a microsecond of every latency that is measured.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import cast

import httptools

from clients.load.encoding import Encoded

DISCONNECTED = "disconnected"
TIMEOUT = "timeout"
READ_TIMEOUT = "read timeout"
OTHER = "other"

_SWITCHED, _FINAL = 101, 200
"""Statuses below 200 come before an answer; but for 101, which is one: the connection speaks no HTTP after it."""
_FRAMED = re.compile(rb"\r\n(content-length|transfer-encoding:[^\r]*chunked)[ \t]*(:|\r)", re.IGNORECASE)
"""Headers that say where a body ends."""
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)")


class NoAnswerError(Exception):
    """An exchange that ended without a whole answer; the kind is what its sample tells."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Connection(asyncio.Protocol):
    """Sends one request, reads one answer to its end, and says whether the next one may follow on it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[None] | None = None
        """Of the exchange that is under way; None as soon as it is known how it ends."""
        self._request: Encoded | None = None
        self._keep = 0
        self._reusable = True
        self._begun = False
        self._head = b""
        self._watch: asyncio.TimerHandle | None = None
        self._deadline = self._last_read = 0.0
        self.status = 0
        self.body = b""
        """The beginning of it, as far as somebody wants to keep it."""
        self.ended_ns = 0
        """When the last byte of the answer had come, by the clock of `time.perf_counter_ns`."""
        self.idle_since = 0.0

    async def exchange(self, request: Encoded, keep: int, deadline: float) -> None:
        """Send and read; `deadline` is of the loop's clock.

        Raises:
            NoAnswerError: with the kind of what came instead of an answer.
        """
        if self._transport is None or self._transport.is_closing():
            self.ended_ns = time.perf_counter_ns()
            raise NoAnswerError(DISCONNECTED)
        self._request, self._keep, self.body, self._head, self._begun = request, keep, b"", b"", False
        waiting = self._waiting = self._loop.create_future()
        self._deadline, self._last_read = deadline, deadline - request.timeout
        due = self._due()
        # One that is set is left alone, for it looks again: setting one for each request would cost more than sending.
        if self._watch is None or self._watch.when() > due:
            self._look_at(due)
        self._transport.write(request.data)
        try:
            await waiting
        except BaseException:
            # Of whatever is still to come on it nobody could say to which request it belongs.
            self.close()
            raise

    @property
    def usable(self) -> bool:
        """Whether another request may follow."""
        transport = self._transport
        return (
            self._reusable
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )

    def close(self) -> None:
        """Drop it at once."""
        self._reusable, self._waiting = False, None
        if self._transport is not None:
            self._transport.abort()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse; what cannot be parsed, or comes unasked, ends the connection."""
        if self._waiting is None:
            self.close()
            return
        if not self._begun:
            self._head = self._head + data if self._head else data
        self._last_read = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._reusable = False
            self._complete()
        except httptools.HttpParserError:
            self._reusable = False
            self._fail(OTHER)
        if self._waiting is None and self._request is not None and self._request.has_no_body:
            # The parser still waits for the body that a HEAD's headers tell of.
            self._parser = httptools.HttpResponseParser(self)

    def eof_received(self) -> None:
        """The peer has closed: the end of a body without a length, and of nothing else."""
        self._ended()

    def connection_lost(self, error: Exception | None) -> None:
        """As well; where it broke, a body without a length has broken off."""
        self._ended(broken=error is not None)
        if self._watch is not None:
            self._watch.cancel()

    def _ended(self, *, broken: bool = False) -> None:
        self._reusable = False
        if self._waiting is None:
            return
        if self._begun and not broken and not self._framed():
            self._complete()
        else:
            self._fail(DISCONNECTED)

    def _framed(self) -> bool:
        """Whether the answer said where it ends, so that the end of the connection is not it."""
        heads = (head for head in self._head.split(b"\r\n\r\n") if not _INTERIM.match(head))
        return _FRAMED.search(next(heads, b"") + b"\r") is not None

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer that nobody asked for makes the next one doubtful."""
        if self._waiting is None:
            self._reusable = False

    def on_headers_complete(self) -> None:
        """From here on there is a status, unless it is of what comes before the answer (100 Continue)."""
        if self._waiting is None or self._request is None:
            return
        self.status = self._parser.get_status_code()
        self._begun = self.status >= _FINAL or self.status == _SWITCHED
        if self._request.has_no_body and self._begun:
            self._reusable = self._parser.should_keep_alive()
            self._complete()

    def on_body(self, chunk: bytes) -> None:
        """Keep the beginning."""
        if len(self.body) < self._keep and self._waiting is not None:
            self.body = (self.body + chunk)[: self._keep] if self.body else chunk[: self._keep]

    def on_message_complete(self) -> None:
        """The last byte of the answer, or of what came before it."""
        if self._begun and self._waiting is not None:
            self._reusable = self._parser.should_keep_alive()
            self._complete()

    def _complete(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            self.ended_ns = time.perf_counter_ns()
            waiting.set_result(None)

    def _fail(self, kind: str) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            self.ended_ns = time.perf_counter_ns()
            waiting.set_exception(NoAnswerError(kind))

    # Limits of time.

    def _due(self) -> float:
        """When what is under way must have ended, or somebody must look again."""
        limit = self._request.read_timeout if self._request else None
        return self._deadline if limit is None else min(self._deadline, self._last_read + limit)

    def _look_at(self, due: float) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._watch = None
        if self._waiting is None:
            return
        now, due = self._loop.time(), self._due()
        if now < due:
            self._look_at(due)
        else:
            self._fail(TIMEOUT if now >= self._deadline else READ_TIMEOUT)
