"""One kept connection, and one exchange at a time on it. HTTP/1.1 is read by llhttp, the parser of Node."""

from __future__ import annotations

import asyncio
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
        self._reusable = True
        self._keep = 0
        self._no_body = False
        self._framed = False
        self._begun = False
        self._read_limit: float | None = None
        self._last_read = 0.0
        self.status = 0
        self.body = b""
        """The beginning of it, as far as somebody wants to keep it."""
        self.ended_ns = 0
        """When the last byte of the answer had come, by the clock of `time.perf_counter_ns`."""
        self.idle_since = 0.0

    async def exchange(self, request: Encoded, keep: int, deadline: float) -> None:
        """Send and read; `deadline` and the read timeout are of the loop's clock.

        Raises:
            NoAnswerError: with the kind of what came instead of an answer.
        """
        self.ended_ns = time.perf_counter_ns()
        if self._transport is None or self._transport.is_closing():
            raise NoAnswerError(DISCONNECTED)
        self._keep, self._no_body, self.body = keep, request.has_no_body, b""
        self._framed = self._begun = False
        waiting = self._waiting = self._loop.create_future()
        timers: list[asyncio.TimerHandle] = [self._loop.call_at(deadline, self._fail, TIMEOUT)]
        if request.read_timeout is not None:
            self._read_limit, self._last_read = request.read_timeout, self._loop.time()
            timers.append(self._loop.call_later(request.read_timeout, self._too_long_silent, timers))
        self._transport.write(request.data)
        try:
            await waiting
        except BaseException:
            # Of whatever is still to come on it nobody could say to which request it belongs.
            self.close()
            raise
        finally:
            self._waiting = self._read_limit = None
            for timer in timers:
                timer.cancel()

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
        self._reusable = False
        if self._transport is not None:
            self._transport.abort()

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse; what cannot be parsed, or comes unasked, ends the connection."""
        if self._waiting is None or self._waiting.done():
            self.close()
            return
        if self._read_limit is not None:
            self._last_read = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._reusable = False
            self._complete()
        except httptools.HttpParserError:
            if not self._done():
                self._fail(OTHER)
        if self._no_body and self._done():
            # The parser still waits for the body that a HEAD's headers tell of.
            self._parser = httptools.HttpResponseParser(self)

    def eof_received(self) -> None:
        """The peer has closed: the end of a body without a length, and of nothing else."""
        self._ended()

    def connection_lost(self, error: Exception | None) -> None:
        """As well; where it broke, a body without a length has broken off."""
        self._ended(broken=error is not None)

    def _ended(self, *, broken: bool = False) -> None:
        self._reusable = False
        if self._begun and not self._framed and not broken:
            self._complete()
        else:
            self._fail(DISCONNECTED)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer that nobody asked for makes the next one doubtful."""
        if self._done():
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note whether the answer says where it ends."""
        lower = name.lower()
        if lower == b"content-length" or (lower == b"transfer-encoding" and value.lower().endswith(b"chunked")):
            self._framed = True

    def on_headers_complete(self) -> None:
        """From here on there is a status, unless it is of what comes before the answer (100 Continue)."""
        if self._done():
            return
        self.status = self._parser.get_status_code()
        self._begun = self.status == _SWITCHED or self.status >= _FINAL
        if self._no_body and self._begun:
            self._reusable = self._parser.should_keep_alive()
            self._complete()

    def on_body(self, chunk: bytes) -> None:
        """Keep the beginning."""
        if len(self.body) < self._keep and not self._done():
            self.body = (self.body + chunk)[: self._keep]

    def on_message_complete(self) -> None:
        """The last byte of the answer, or of what came before it."""
        if not self._begun:
            self._framed = False
        elif not self._done():
            self._reusable = self._parser.should_keep_alive()
            self._complete()

    def _done(self) -> bool:
        return self._waiting is None or self._waiting.done()

    def _complete(self) -> None:
        if not self._done():
            self.ended_ns = time.perf_counter_ns()
            cast("asyncio.Future[None]", self._waiting).set_result(None)

    def _fail(self, kind: str) -> None:
        if not self._done():
            self.ended_ns = time.perf_counter_ns()
            cast("asyncio.Future[None]", self._waiting).set_exception(NoAnswerError(kind))

    def _too_long_silent(self, timers: list[asyncio.TimerHandle]) -> None:
        """Look whether anything has come since; a timer set anew at every piece would cost more than the piece."""
        if self._read_limit is None:
            return
        due = self._last_read + self._read_limit
        if self._loop.time() >= due:
            self._fail(READ_TIMEOUT)
        else:
            timers[-1] = self._loop.call_at(due, self._too_long_silent, timers)
