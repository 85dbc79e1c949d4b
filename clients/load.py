"""The load generator. On aiohttp, because the client that measures must be much faster than what it measures."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from pydantic import BaseModel, ConfigDict
from yarl import URL

from clients.requests import PreparedRequest
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import RequestSample

KEPT_BODY = 4_096
"""Bytes of the last answer's body that are kept."""

READ_BODY = 1_048_576
"""Bytes of a body that somebody wants to read."""

IDLE_SECONDS = 3.0
"""A connection that was idle longer is not used again: servers close theirs after five seconds or more, and a request
that meets the closing would count as an error of the system.
"""

_CHUNK = 65_536

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUES = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_NOT_IN_URLS = re.compile(r"[^\x21-\x7e]|#")
_FRAMING = ("content-length", "transfer-encoding")


class LoadResult(BaseModel):
    """What a case's requests gave."""

    model_config = ConfigDict(frozen=True)

    samples: list[RequestSample]
    """One per request, whatever became of it."""
    last_status: int | None = None
    last_body: str = ""
    duration_us: int = 0


@dataclass
class _Last:
    """The last answer seen, and how much of a body is kept."""

    keep: int = KEPT_BODY
    status: int | None = None
    body: bytes = b""


class LoadGenerator:
    """Sends prepared requests and measures each, from before connecting to the last byte of the body."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open. Proxies and cookies of the environment are not used: every request is the same."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )
        # The library sends a GET a second time, unasked, when a kept connection drops: a request that nobody counted
        # and an error that nobody saw. It has no public switch; its own test client turns it off like this.
        self._session._retry_connection = False  # noqa: SLF001
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        if self._session:
            await self._session.close()

    async def send_once(self, request: PreparedRequest) -> RequestSample:
        """Send one request.

        Raises:
            HoldfastError: LOAD_TARGET_INVALID when it cannot be sent as it is written.
        """
        _refuse_unsendable(request)
        return await self._send(request, _Last())

    async def ask(self, request: PreparedRequest) -> tuple[RequestSample, str]:
        """Send one request and read its answer: the first mebibyte of the body, as text.

        Raises:
            HoldfastError: LOAD_TARGET_INVALID when it cannot be sent as it is written.
        """
        _refuse_unsendable(request)
        last = _Last(keep=READ_BODY)
        sample = await self._send(request, last)
        return sample, last.body.decode(errors="replace")

    async def measure(
        self,
        request: PreparedRequest,
        *,
        requests: int,
        concurrency: int,
        on_progress: Callable[[int], None] | None = None,
    ) -> LoadResult:
        """Send `requests` requests, `concurrency` at once, each worker its next one when the last has ended.

        Every request gives a sample: there are exactly `requests` of them (`peer-contract` property 35).

        Raises:
            HoldfastError: LOAD_TARGET_INVALID before the first request.
        """
        _refuse_unsendable(request)
        samples: list[RequestSample] = []
        last = _Last()
        left = iter(range(requests))

        async def work() -> None:
            for _ in left:
                samples.append(await self._send(request, last))
                if on_progress:
                    on_progress(len(samples))

        started = time.perf_counter_ns()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, requests)):
                group.create_task(work())
        return LoadResult(
            samples=samples,
            last_status=last.status,
            last_body=last.body.decode(errors="replace"),
            duration_us=(time.perf_counter_ns() - started) // 1_000,
        )

    async def _send(self, request: PreparedRequest, last: _Last) -> RequestSample:
        if self._session is None:
            raise RuntimeError("the load generator is not open")
        started = time.perf_counter_ns()
        status: int | None = None
        kind = ""
        try:
            status, body = await _exchange(self._session, request, last.keep)
            last.status, last.body = status, body
            if not 200 <= status < 400:
                kind = f"status {status}"
        except TimeoutError:
            kind = "timeout"
        except aiohttp.ClientConnectorError:
            kind = "connect"
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, ConnectionError):
            kind = "disconnected"
        except Exception:  # whatever the library raises, this request was sent or tried, and it counts
            kind = "other"
        # An answer whose body broke off is no answer: its kind is an error and it has no status.
        return RequestSample(latency_us=(time.perf_counter_ns() - started) // 1_000, status=status, error_kind=kind)


async def _exchange(session: aiohttp.ClientSession, request: PreparedRequest, keep: int) -> tuple[int, bytes]:
    """One exchange; the body is read to its end and its beginning kept."""
    async with session.request(
        request.method,
        URL(request.url, encoded=True),
        headers=request.headers,
        data=request.body,
        # Bodies are not decompressed here, so none is asked for compressed: recordings and reports show them.
        skip_auto_headers=["Accept-Encoding"],
        allow_redirects=False,
        timeout=aiohttp.ClientTimeout(total=request.timeout),
    ) as answer:
        kept = b""
        async for chunk in answer.content.iter_chunked(_CHUNK):
            if len(kept) < keep:
                kept = (kept + chunk)[:keep]
        return answer.status, kept


def _refuse_unsendable(request: PreparedRequest) -> None:
    """What would fail at every request, or be sent as something else, found before the first.

    Values of secrets are known only now: no rule about the plan can have looked at them. They are not quoted.
    """
    for name, value in request.headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise HoldfastError(ErrorCode.LOAD_TARGET_INVALID, f"{name!r} is not a header's name")
        if name.lower() in _FRAMING:
            raise HoldfastError(ErrorCode.LOAD_TARGET_INVALID, f"header {name} follows from the body and cannot be set")
        if _NOT_IN_VALUES.search(value):
            raise HoldfastError(
                ErrorCode.LOAD_TARGET_INVALID, f"header {name} has a line break or control character in its value"
            )
    try:
        url = URL(request.url, encoded=True)
        sendable = url.scheme in ("http", "https") and bool(url.host) and not _NOT_IN_URLS.search(request.url)
    except ValueError:
        sendable = False
    if not sendable:
        raise HoldfastError(
            ErrorCode.LOAD_TARGET_INVALID,
            "request.url cannot be sent once its secrets are resolved",
            hint="percent-encode what is not plain ASCII, also inside the secrets",
        )
