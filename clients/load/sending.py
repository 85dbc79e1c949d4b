"""One prepared request, sent again and again: its bytes, the token in them, and a sample of each time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from clients.http.requests import PreparedRequest
from clients.load.connection import OTHER, encoding_of
from clients.load.encoding import encode
from clients.load.logins import UNAUTHORIZED, Logins, Token
from clients.load.wire import Answer, Wire
from domain.traffic.exchange import RequestSample

KEPT_BODY = 4_096
"""Bytes of the last answer's body that are kept."""

_SHOWN = 40


def was_cut(body: bytes, keep: int = KEPT_BODY) -> bool:
    """Whether more of a body may have come than was kept."""
    return len(body) >= keep


@dataclass
class LastAnswer:
    """The last answer seen, and how much of a body is kept."""

    keep: int = KEPT_BODY
    status: int | None = None
    body: bytes = b""
    head: bytes = b""
    received: int = 0

    @property
    def text(self) -> str:
        """The beginning of its body. Nothing is decoded for show: of an encoded one only its length is reported.

        No secret can be looked for in it either, and a few bytes of it may stand for gigabytes.
        """
        if self.body and (encoding := encoding_of(self.head)):
            return f"[encoded body ({encoding[:_SHOWN]}) of {self.received} bytes]"
        return self.body.decode(errors="replace")


class Seen(NamedTuple):
    """A sample as it is taken down while others are under way: made in a quarter of the time."""

    latency_us: int
    status: int | None
    error_kind: str
    offset_us: int = 0
    late_us: int = 0

    def sample(self) -> RequestSample:
        """As it leaves the load generator."""
        return RequestSample(**self._asdict())


class Sending:
    """Sends one request any number of times, also side by side."""

    def __init__(
        self, wire: Wire, logins: Logins, request: PreparedRequest, last: LastAnswer, began_ns: int | None = None
    ) -> None:
        """Take what is needed; offsets of samples count from `began_ns`, by default from now."""
        self._wire = wire
        self._logins = logins
        self._request = request
        self._last = last
        self._began_ns = time.perf_counter_ns() if began_ns is None else began_ns
        self._token: Token | None = None
        self._encoded = encode(request)

    async def log_in(self) -> None:
        """Have a token, where the request needs one: before anything is measured.

        Raises:
            LoginError: when the login gives none.
        """
        if self._request.login is not None:
            self._carry(await self._logins.token(self._request.login))

    async def send(self, due_ns: int | None = None) -> Seen:
        """Send it now. Latency counts from when it was due, by `time.perf_counter_ns`; by default from now.

        Raises:
            LoginError: when the token is not taken any more, and there is no other.
        """
        started_ns = time.perf_counter_ns()
        planned_ns = started_ns if due_ns is None else due_ns
        answer = await self._exchange()
        renewed_ns = 0
        if self._token is not None and answer.status == UNAUTHORIZED and await self._renewed(self._token):
            # That the token ran out, and what it took to learn that, is no part of the request: users log in once.
            renewed_ns = time.perf_counter_ns() - started_ns
            answer = await self._exchange()
        if answer.status is not None:
            last = self._last
            last.status, last.body, last.head, last.received = answer.status, answer.body, answer.head, answer.received
        good = answer.status is not None and 200 <= answer.status < 400
        return Seen(
            # An answer whose body broke off is no answer: its kind is an error and it has no status.
            latency_us=max(0, answer.ended_ns - planned_ns - renewed_ns) // 1_000,
            status=answer.status,
            error_kind="" if good else answer.kind or f"status {answer.status}",
            offset_us=(planned_ns - self._began_ns) // 1_000,
            late_us=(started_ns - planned_ns) // 1_000,
        )

    def _carry(self, token: Token) -> None:
        if token is not self._token:
            self._token, self._encoded = token, encode(self._request, token.value)

    async def _renewed(self, refused: Token) -> bool:
        """Whether there is another token now."""
        other = await self._logins.renewed(self._request.login, refused) if self._request.login else None
        if other is not None:
            self._carry(other)
        return other is not None

    async def _exchange(self) -> Answer:
        token = self._token
        try:
            answer = await self._wire.exchange(self._encoded, self._last.keep)
        except Exception:  # whatever it is, this request was sent or tried, and it counts
            return Answer(None, b"", OTHER, time.perf_counter_ns())
        if token is not None and answer.status not in (None, UNAUTHORIZED):
            token.taken = True
        return answer
