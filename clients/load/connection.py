"""A persistent HTTP/1.1 connection with one exchange at a time.

Answers are parsed by llhttp, the parser of Node. Code that runs for every request is kept short: a microsecond here
adds a microsecond to every measured latency.
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

HEAD_LIMIT = 64 * 1024
"""Maximum bytes of status line and headers, including interim answers."""
INTERIM_LIMIT = 100
"""Maximum number of interim (1xx) answers before the final one."""

_SWITCHED = 101
"""Status after which the connection no longer speaks HTTP."""
_FINAL = 200
"""Lowest status of a final answer. Those below are interim, except `_SWITCHED`."""
_FRAMED = re.compile(rb"\r\n(content-length|transfer-encoding:[^\r]*chunked)[ \t]*(:|\r)", re.IGNORECASE)
"""Headers that define where a body ends."""
_ENCODED = re.compile(rb"\r\ncontent-encoding[ \t]*:([^\r\n]*)", re.IGNORECASE)
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)")


def encoding_of(head: bytes) -> str:
    """Return the content encodings in a head (`gzip, br`); empty without any."""
    found = b",".join(_ENCODED.findall(_answer_head(head))).decode("ascii", "replace").lower()
    return ", ".join(encoding for part in found.split(",") if (encoding := part.strip()) not in ("", "identity"))


def _answer_head(head: bytes | bytearray) -> bytes:
    """Return the head of the final answer, without those of interim answers."""
    heads = (part for part in bytes(head).split(b"\r\n\r\n", INTERIM_LIMIT + 1) if not _INTERIM.match(part))
    return next(heads, b"") + b"\r"


class NoAnswerError(Exception):
    """An exchange that ended without a complete answer.

    `kind` becomes the error kind of its sample.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Connection(asyncio.Protocol):
    """A connection that exchanges one request for one answer at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiting: asyncio.Future[None] | None = None
        """Result of the running exchange; None once its outcome is known."""
        self._request: Encoded | None = None
        self._keep = 0
        self._reusable = True
        self._begun = False
        self._head: bytes | bytearray = b""
        """Chunks received until the final answer's headers were complete.

        The first chunk is kept without copying, because nearly always it is the only one.
        """
        self._interim = 0
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = self._last_read = 0.0
        self.status = 0
        self._kept: bytes | bytearray = b""
        self.received = 0
        """Bytes of the body received, kept or not."""
        self.ended_ns = 0
        """When the exchange ended, by `time.perf_counter_ns`."""
        self.idle_since = 0.0

    async def exchange(self, request: Encoded, keep: int, deadline: float) -> None:
        """Send a request and read its answer.

        The first `keep` bytes of the body are kept. `deadline` is in the loop's time.

        Raises:
            NoAnswerError: when no complete answer came, with the kind of failure.
        """
        if self._transport is None or self._transport.is_closing():
            self.ended_ns = time.perf_counter_ns()
            raise NoAnswerError(DISCONNECTED)
        self._request, self._keep, self._kept, self._head, self._begun = request, keep, b"", b"", False
        self.received = self._interim = 0
        waiting = self._waiting = self._loop.create_future()
        self._deadline, self._last_read = deadline, self._loop.time()
        due = self._due()
        # Leave an earlier timer in place: it re-arms itself. A new timer per request would cost more than sending.
        if self._timer is None or self._timer.when() > due:
            self._set_timer(due)
        self._transport.write(request.data)
        try:
            await waiting
        except BaseException:
            # Bytes that still arrive could no longer be matched to a request.
            self.close()
            raise

    @property
    def body(self) -> bytes:
        """The beginning of the body, up to the `keep` bytes asked for."""
        return bytes(self._kept)

    @property
    def head(self) -> bytes:
        """The received heads, for `encoding_of`; part of the body may follow."""
        return bytes(self._head[:HEAD_LIMIT]) if len(self._head) > HEAD_LIMIT else bytes(self._head)

    @property
    def usable(self) -> bool:
        """Whether another request may be sent on this connection."""
        transport = self._transport
        return (
            self._reusable
            and transport is not None
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )

    def close(self) -> None:
        """Abort the connection at once."""
        self._reusable, self._waiting = False, None
        if self._transport is not None:
            self._transport.abort()

    # Callbacks of the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport for sending."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse received bytes; invalid or unsolicited ones end the connection."""
        if self._waiting is None:
            self.close()
            return
        if not self._begun:
            self._gather(data)
        self._last_read = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._reusable = False
            self._complete()
        except httptools.HttpParserError:
            self._reusable = False
            self._fail(OTHER)
        if self._waiting is not None and not self._begun and len(self._head) > HEAD_LIMIT:
            self._fail(OTHER)
        if self._waiting is None and self._request is not None and self._request.has_no_body:
            # The parser still waits for the body that the headers of a HEAD answer announce.
            self._parser = httptools.HttpResponseParser(self)

    def eof_received(self) -> None:
        """Handle a close by the server.

        It completes an answer whose body has no length, and nothing else.
        """
        self._handle_end()

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the end of the connection.

        After an error, even a body without a length is incomplete.
        """
        self._handle_end(broken=error is not None)
        if self._timer is not None:
            self._timer.cancel()

    def _handle_end(self, *, broken: bool = False) -> None:
        self._reusable = False
        if self._waiting is None:
            return
        if self._begun and not broken and not self._framed():
            self._complete()
        else:
            self._fail(DISCONNECTED)

    def _gather(self, data: bytes) -> None:
        """Keep bytes that may belong to the head."""
        # Grow in place: a server that sends single bytes must not make us copy the head each time.
        if not self._head:
            self._head = data
        elif isinstance(self._head, bytearray):
            self._head += data
        else:
            self._head = bytearray(self._head) + data

    def _framed(self) -> bool:
        """Check whether the headers define where the body ends.

        Otherwise the body ends where the connection does.
        """
        return _FRAMED.search(_answer_head(self._head)) is not None

    def _head_too_long(self) -> bool:
        """Check whether all heads so far exceed the limit together."""
        # One read can complete heads beyond the limit: `data_received` checks only while they are incomplete.
        if len(self._head) <= HEAD_LIMIT:
            return False
        end = 0
        for _ in range(self._interim + 1):
            end = self._head.find(b"\r\n\r\n", end) + 4
        return end > HEAD_LIMIT

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        """Refuse to reuse the connection after an unsolicited answer."""
        if self._waiting is None:
            self._reusable = False

    def on_headers_complete(self) -> None:
        """Take the status, or count an interim answer (100 Continue)."""
        if self._waiting is None or self._request is None:
            return
        self.status = self._parser.get_status_code()
        self._begun = self.status >= _FINAL or self.status == _SWITCHED
        if not self._begun:
            self._interim += 1
            if self._interim > INTERIM_LIMIT:
                self._fail(OTHER)
            return
        if self._head_too_long():
            self._fail(OTHER)
            return
        if self._request.has_no_body:
            self._reusable = self._parser.should_keep_alive()
            self._complete()

    def on_body(self, chunk: bytes) -> None:
        """Count the bytes of the body and keep its beginning."""
        if self._waiting is None:
            # The body of an answer that must have none (to a HEAD), or of one that we gave up waiting for.
            self._reusable = False
            return
        self.received += len(chunk)
        room = self._keep - len(self._kept)
        if room <= 0:
            return
        if not self._kept:
            self._kept = chunk[:room]
        elif isinstance(self._kept, bytearray):
            self._kept += chunk[:room]
        else:
            self._kept = bytearray(self._kept) + chunk[:room]

    def on_message_complete(self) -> None:
        """Complete the exchange, unless this was the end of an interim answer."""
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

    # Time limits.

    def _due(self) -> float:
        """Return when the exchange must end or its limits need another check."""
        limit = self._request.read_timeout if self._request else None
        return self._deadline if limit is None else min(self._deadline, self._last_read + limit)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._check_limits)

    def _check_limits(self) -> None:
        self._timer = None
        if self._waiting is None:
            return
        now = self._loop.time()
        due = self._due()
        if now < due:
            self._set_timer(due)
        else:
            self._fail(TIMEOUT if now >= self._deadline else READ_TIMEOUT)
