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

HEAD_LIMIT = 64 * 1024
"""Bytes of status line and headers, with all interim answers before them."""
INTERIM_LIMIT = 100
"""Answers 1xx before the answer."""

_SWITCHED, _FINAL = 101, 200
"""Statuses below 200 come before an answer; but for 101, which is one: the connection speaks no HTTP after it."""
_FRAMED = re.compile(rb"\r\n(content-length|transfer-encoding:[^\r]*chunked)[ \t]*(:|\r)", re.IGNORECASE)
"""Headers that say where a body ends."""
_ENCODED = re.compile(rb"\r\ncontent-encoding[ \t]*:([^\r\n]*)", re.IGNORECASE)
_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)")


def encoding_of(head: bytes) -> str:
    """The encodings of a body by its answer's headers, `gzip, br`; empty where it came as it is."""
    found = b",".join(_ENCODED.findall(_answer_head(head))).decode("ascii", "replace").lower()
    return ", ".join(one for part in found.split(",") if (one := part.strip()) not in ("", "identity"))


def _answer_head(head: bytes | bytearray) -> bytes:
    """The head of the answer itself, without those of interim answers."""
    heads = (one for one in bytes(head).split(b"\r\n\r\n", INTERIM_LIMIT + 1) if not _INTERIM.match(one))
    return next(heads, b"") + b"\r"


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
        self._head: bytes | bytearray = b""
        """What came until the answer had begun. Its first part is taken as it is: nearly always it is the only one."""
        self._interim = 0
        self._watch: asyncio.TimerHandle | None = None
        self._deadline = self._last_read = 0.0
        self.status = 0
        self._kept: bytes | bytearray = b""
        self.received = 0
        """Bytes of the body, kept or not."""
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
        self._request, self._keep, self._kept, self._head, self._begun = request, keep, b"", b"", False
        self.received = self._interim = 0
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
    def body(self) -> bytes:
        """The beginning of the body, as far as somebody wants to keep it."""
        return bytes(self._kept)

    @property
    def head(self) -> bytes:
        """What came until the answer had begun, for `encoding_of`; perhaps with the beginning of its body."""
        return bytes(self._head[:HEAD_LIMIT]) if len(self._head) > HEAD_LIMIT else bytes(self._head)

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

    def _gather(self, data: bytes) -> None:
        """Keep what may belong to the head. Growing in place: parts of one byte must not be copied again and again."""
        if not self._head:
            self._head = data
        elif isinstance(self._head, bytearray):
            self._head += data
        else:
            self._head = bytearray(self._head) + data

    def _framed(self) -> bool:
        """Whether the answer said where it ends, so that the end of the connection is not it."""
        return _FRAMED.search(_answer_head(self._head)) is not None

    def _head_too_long(self) -> bool:
        """Whether all heads so far are too long. In one read there may be more of them than the limit."""
        if len(self._head) <= HEAD_LIMIT:
            return False
        end = 0
        for _ in range(self._interim + 1):
            end = self._head.find(b"\r\n\r\n", end) + 4
        return end > HEAD_LIMIT

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
        """Count, and keep the beginning."""
        if self._waiting is None:
            # Of an answer that has none, as that to a HEAD, or after one that was given up.
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
