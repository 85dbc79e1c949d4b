"""A repeated request: its bytes, its token, and a sample each time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from clients.http.requests import PreparedRequest
from clients.load.connection import OTHER, encoding_of
from clients.load.encoding import Encoded, encode
from clients.load.logins import UNAUTHORIZED, Logins, Token
from clients.load.wire import Answer, Wire
from clients.telemetry.tracing import TRACEPARENT
from domain.traffic.exchange import RequestSample

if TYPE_CHECKING:
    from clients.telemetry.spans import RequestSpan, RequestSpans

KEPT_BODY = 4_096
"""Bytes kept of the last answer's body."""

_SHOWN = 40


def was_cut(body: bytes, keep: int = KEPT_BODY) -> bool:
    """Check whether more of a body may have been received than kept."""
    return len(body) >= keep


@dataclass
class LastAnswer:
    """The last answer received; `keep` limits the stored body."""

    keep: int = KEPT_BODY
    status: int | None = None
    body: bytes = b""
    head: bytes = b""
    received: int = 0

    @property
    def text(self) -> str:
        """The beginning of the body; for an encoded body only its length.

        An encoded body is never decoded for display: a few bytes may expand to gigabytes. It is not shown encoded
        either, because secrets could not be found in it.
        """
        if self.body and (encoding := encoding_of(self.head)):
            return f"[encoded body ({encoding[:_SHOWN]}) of {self.received} bytes]"
        return self.body.decode(errors="replace")


class Seen(NamedTuple):
    """A raw sample, recorded while other requests are in flight.

    Creating it takes a quarter of the time of a `RequestSample`.
    """

    latency_us: int
    status: int | None
    error_kind: str
    offset_us: int = 0
    late_us: int = 0

    def sample(self) -> RequestSample:
        """Convert to the form that leaves the load generator."""
        return RequestSample(**self._asdict())


class Sending:
    """A sender of one request, any number of times, also concurrently."""

    def __init__(
        self,
        wire: Wire,
        logins: Logins,
        request: PreparedRequest,
        last: LastAnswer,
        *,
        began_ns: int | None = None,
        spans: RequestSpans | None = None,
    ) -> None:
        """Encode the request; sample offsets count from `began_ns`, by default from now."""
        self._wire = wire
        self._logins = logins
        self._request = request
        self._last = last
        self._began_ns = time.perf_counter_ns() if began_ns is None else began_ns
        self._spans = spans
        self._token: Token | None = None
        self._encoded = encode(request)

    async def log_in(self) -> None:
        """Get a token if the request needs one, before anything is measured.

        Raises:
            LoginError: when the login yields no token.
        """
        if self._request.login is not None:
            self._use_token(await self._logins.token(self._request.login))

    async def send(self, due_ns: int | None = None) -> Seen:
        """Send the request now and measure it.

        Latency counts from `due_ns` (by `time.perf_counter_ns`), by default from now.

        Raises:
            LoginError: when the token is no longer accepted and the login yields no other.
        """
        # Before anything is measured.
        prepared = self._prepared()
        started_ns = time.perf_counter_ns()
        planned_ns = started_ns if due_ns is None else due_ns
        answer = await self._exchange(*prepared)
        renewed_ns = 0
        if self._token is not None and answer.status == UNAUTHORIZED and await self._renew_token(self._token):
            prepared = self._prepared()
            # Exclude the refused try and the renewal from the latency: users do not pay for them, they log in once.
            renewed_ns = time.perf_counter_ns() - started_ns
            answer = await self._exchange(*prepared)
        if answer.status is not None:
            last = self._last
            last.status, last.body, last.head, last.received = answer.status, answer.body, answer.head, answer.received
        good = answer.status is not None and 200 <= answer.status < 400
        return Seen(
            latency_us=max(0, answer.ended_ns - planned_ns - renewed_ns) // 1_000,
            # An answer whose body was cut off counts as none: it has an error kind and no status.
            status=answer.status,
            error_kind="" if good else answer.kind or f"status {answer.status}",
            offset_us=(planned_ns - self._began_ns) // 1_000,
            late_us=(started_ns - planned_ns) // 1_000,
        )

    def _use_token(self, token: Token) -> None:
        if token is not self._token:
            self._token, self._encoded = token, encode(self._request, token.value)

    async def _renew_token(self, refused: Token) -> bool:
        """Renew a refused token; true if there is another one now."""
        renewed = await self._logins.renewed(self._request.login, refused) if self._request.login else None
        if renewed is not None:
            self._use_token(renewed)
        return renewed is not None

    def _prepared(self) -> tuple[Encoded, RequestSpan | None]:
        """Return the request's bytes, with its own trace header and span if there are any."""
        if self._spans is None:
            return self._encoded, None
        span = self._spans.next()
        return self._encoded.with_header(TRACEPARENT, span.traceparent), span

    async def _exchange(self, encoded: Encoded, span: RequestSpan | None) -> Answer:
        token = self._token
        try:
            answer = await self._wire.exchange(encoded, self._last.keep)
        except Exception:  # whatever failed, this request was sent or attempted, so it needs a sample
            answer = Answer(None, b"", OTHER, time.perf_counter_ns())
        if span is not None:
            span.end(answer.status, answer.kind)
        if token is not None and answer.status not in (None, UNAUTHORIZED):
            token.taken = True
        return answer
