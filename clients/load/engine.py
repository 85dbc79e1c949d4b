"""The load generator: sends prepared requests at a pace and measures each.

It must be much faster than the system it measures, so it has its own HTTP client (`docs/dependencies.md`, httptools).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict

from clients.http.requests import PreparedRequest
from clients.load.logins import LoginError, Logins
from clients.load.pace import EARLY_NS, Closed, Open, Pace, planned, until
from clients.load.sendable import refuse_unsendable
from clients.load.sending import LastAnswer, Seen, Sending
from clients.load.warming import WINDOW, WarmUp, agree
from clients.load.wire import Wire
from domain.errors import ErrorCode, HoldfastError
from domain.traffic.exchange import RequestSample

if TYPE_CHECKING:
    from clients.telemetry.spans import RequestSpans

READ_BODY = 1_048_576
"""Maximum bytes of the body that `ask` returns."""

Done = Callable[[Seen], None]


class LoadResult(BaseModel):
    """The results of a measurement."""

    model_config = ConfigDict(frozen=True)

    samples: list[RequestSample]
    """One per request, whatever its outcome."""
    last_status: int | None = None
    last_body: str = ""
    duration_us: int = 0


def _ignore_token(_: str) -> None:
    """Ignore a token: nothing needs to be redacted."""


class LoadGenerator:
    """A sender that measures requests.

    Each is measured from before connecting to the last byte of the body.
    """

    def __init__(self, learn: Callable[[str], None] = _ignore_token) -> None:
        """Set the callback that receives every login token.

        It keeps tokens out of stored data.
        """
        self._learn = learn
        self._opened: tuple[Wire, Logins] | None = None

    async def __aenter__(self) -> Self:
        # Proxy settings of the environment are not used: every request behaves the same.
        wire = Wire()
        self._opened = wire, Logins(wire, self._learn)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        if self._opened:
            self._opened[0].close()
            self._opened = None
            await asyncio.sleep(0)

    async def send_once(self, request: PreparedRequest, spans: RequestSpans | None = None) -> RequestSample:
        """Send one request, traced by `spans`; a failed login becomes the sample's error kind.

        Raises:
            HoldfastError: LOAD_TARGET_INVALID when the request cannot be sent as written.
        """
        return await self._once(request, LastAnswer(), spans)

    async def send_and_read(
        self, request: PreparedRequest, spans: RequestSpans | None = None
    ) -> tuple[RequestSample, str]:
        """Send one request, traced by `spans`; return its sample and the body as text.

        The text holds at most the first mebibyte of the body.

        Raises:
            HoldfastError: LOAD_TARGET_INVALID when the request cannot be sent as written.
        """
        last = LastAnswer(keep=READ_BODY)
        sample = await self._once(request, last, spans)
        return sample, last.text

    async def measure(
        self,
        request: PreparedRequest,
        *,
        requests: int,
        concurrency: int,
        on_progress: Callable[[int], None] | None = None,
    ) -> LoadResult:
        """Send `requests` requests, `concurrency` at once.

        Each of the `concurrency` senders starts its next request when its last one has ended. Every request yields a
        sample, so there are exactly `requests` samples (`peer-contract` property 35).

        Raises:
            HoldfastError: as `block`.
        """
        last = LastAnswer()
        started = time.perf_counter_ns()
        samples = await self.block(request, Closed(concurrency), requests, last=last, on_progress=on_progress)
        return LoadResult(
            samples=samples,
            last_status=last.status,
            last_body=last.text,
            duration_us=(time.perf_counter_ns() - started) // 1_000,
        )

    async def block(
        self,
        request: PreparedRequest,
        pace: Pace,
        requests: int,
        *,
        last: LastAnswer | None = None,
        began_ns: int | None = None,
        on_progress: Callable[[int], None] | None = None,
        spans: RequestSpans | None = None,
    ) -> list[RequestSample]:
        """Send `requests` requests at this pace; return samples in order of completion.

        The samples' `offset_us` counts from `began_ns` (by `time.perf_counter_ns`), by default from the start of this
        block. `last` receives the last answer. `spans` trace the requests, or some of them.

        Raises:
            HoldfastError: LOAD_TARGET_INVALID before the first request; LOGIN_FAILED before it, or as soon as a token
                is no longer accepted and cannot be renewed.
        """
        sending = self._sending(request, LastAnswer() if last is None else last, spans, began_ns)
        seen: list[Seen] = []

        def done(raw: Seen) -> None:
            seen.append(raw)
            if on_progress:
                on_progress(len(seen))

        with _login_failed():
            await sending.log_in()
            if isinstance(pace, Closed):
                await _send_closed(sending, pace, requests, done)
            else:
                await _send_open(sending, pace, requests, done)
        return [raw.sample() for raw in seen]

    async def warm_up(
        self, request: PreparedRequest, pace: Pace, at_most: int, spans: RequestSpans | None = None
    ) -> WarmUp:
        """Send blocks until two in a row agree, up to `at_most` requests.

        Blocks agree when their median latencies nearly match (`clients/load/warming.py`).

        Raises:
            HoldfastError: as `block`.
        """
        sent = 0
        earlier: list[RequestSample] = []
        while sent < at_most:
            later = await self.block(request, pace, min(WINDOW, at_most - sent), spans=spans)
            sent += len(later)
            if agree(earlier, later):
                return WarmUp(sent, agreed=True)
            earlier = later
        return WarmUp(sent, agreed=False)

    def _sending(
        self, request: PreparedRequest, last: LastAnswer, spans: RequestSpans | None, began_ns: int | None = None
    ) -> Sending:
        refuse_unsendable(request)
        if self._opened is None:
            raise RuntimeError("the load generator is not open")
        return Sending(*self._opened, request, last, began_ns=began_ns, spans=spans)

    async def _once(self, request: PreparedRequest, last: LastAnswer, spans: RequestSpans | None) -> RequestSample:
        sending = self._sending(request, last, spans)
        started = time.perf_counter_ns()
        try:
            await sending.log_in()
            return (await sending.send()).sample()
        except LoginError as error:
            latency = (time.perf_counter_ns() - started) // 1_000
            return RequestSample(latency_us=latency, status=None, error_kind=error.kind)


async def _send_closed(sending: Sending, pace: Closed, requests: int, done: Done) -> None:
    left = iter(range(requests))

    async def work() -> None:
        for _ in left:
            done(await sending.send())

    async with asyncio.TaskGroup() as group:
        for _ in range(min(pace.concurrency, requests)):
            group.create_task(work())


async def _send_open(sending: Sending, pace: Open, requests: int, done: Done) -> None:
    places = asyncio.Semaphore(pace.in_flight)
    began = time.perf_counter_ns()

    async def work(due_ns: int) -> None:
        try:
            await until(due_ns)
            done(await sending.send(due_ns))
        finally:
            places.release()

    async with asyncio.TaskGroup() as group:
        for offset in planned(pace, requests):
            # A little early, so that creating the task is not part of the measured latency.
            await until(began + offset - EARLY_NS)
            await places.acquire()
            group.create_task(work(began + offset))


@contextmanager
def _login_failed() -> Iterator[None]:
    """Translate a login failure, alone or in a task group, into LOGIN_FAILED."""
    try:
        yield
    except LoginError as error:
        raise _login_error(error) from error
    except BaseExceptionGroup as group:
        logins, rest = group.split(LoginError)
        if logins is None or rest is not None:
            raise
        first: BaseException = logins
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise _login_error(first) from first


def _login_error(error: BaseException) -> HoldfastError:
    return HoldfastError(
        ErrorCode.LOGIN_FAILED,
        f"request.login gave no token: {error}",
        hint="check request.login, its secrets, and that the system is up",
    )
