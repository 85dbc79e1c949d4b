"""The only HTTP reader of control calls: bounded time, size and features.

Peers, canaries, readiness paths and the lab's address list all go through `fetch`. Each call opens its own connection
and closes it at the end, so whatever a server sends after an answer can never be taken for the next answer. Content
encodings, redirects, cookies and charsets are all ignored or refused. `tests/unit/project/test_one_reader.py` keeps
other modules from reading by themselves. The load engine has its own limits (`clients/load/connection.py`).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpcore
import httpx

from clients.http.doors import is_shut
from clients.http.trust import trusted
from clients.telemetry.tracing import traced_call

CONNECT_TIMEOUT = 5.0
"""Timeout for opening a connection, in seconds."""

HEAD_LIMIT = 64 * 1024
"""Maximum bytes of status line and headers, including interim answers (100 Continue)."""

SMALL_BODY = 64 * 1024
"""Maximum bytes of a body that should be short: canaries, address lists."""

SHUT_DOOR = "ShutDoor"
"""Error name for an address of our own: nothing is sent there."""

_FRAMING = 4
"""Bytes allowed on the wire per byte of body.

One-byte chunks would take six, but no real server sends those.
"""

_LONGEST_KIND = 200
"""Characters kept of a content type."""

_MOST_PARTS = 50_000
"""Maximum chunks of one body: each costs time, however short."""

_READ = 16 * 1024
"""Maximum bytes per read of a body. Other tasks on the event loop run between two reads."""
_READ_HEAD = 4 * 1024
"""The same for a head, which takes longer to parse."""

Params = Mapping[str, str | int]


class Trouble(StrEnum):
    """Why there is no answer."""

    ADDRESS = "address"
    """The address is unusable; nothing was sent."""
    CONNECT = "connect"
    """No connection; nothing was sent."""
    TIMEOUT = "timeout"
    """No complete answer in time; the request may have taken effect."""
    BROKEN = "broken"
    """The answer was cut off or is not HTTP/1.1.

    The request may have taken effect.
    """
    ENCODED = "encoded"
    """The answer has an encoding that we did not accept.

    It is not decoded, because a few bytes may expand to gigabytes.
    """
    TOO_LONG = "too long"
    """The head or body exceeds its limit."""


class NoAnswerError(Exception):
    """A call that got no complete answer.

    `name` is short and quotes nothing from the request or answer.
    """

    def __init__(self, trouble: Trouble, name: str) -> None:
        super().__init__(name)
        self.trouble = trouble
        self.name = name


@dataclass(frozen=True)
class Limits:
    """Time and size limits of one call."""

    seconds: float
    """Total timeout, from connecting to the last byte."""
    body: int | None = SMALL_BODY
    """Maximum bytes of the body. None: do not read it."""


@dataclass(frozen=True)
class Fetched:
    """A complete answer."""

    status: int
    body: bytes = b""
    content_type: str = ""
    """Content type as sent, truncated to more than any real one needs."""

    @property
    def text(self) -> str:
        """The body decoded as UTF-8, with U+FFFD for invalid bytes.

        The charset that the server declares is ignored.
        """
        return self.body.decode(errors="replace")


def usable_address(url: str, params: Params | None = None) -> httpx.URL:
    """Parse an address that a request can be sent to.

    Raises:
        NoAnswerError: ADDRESS when no request can be sent there.
    """
    try:
        parsed = httpx.URL(url) if params is None else httpx.URL(url, params=params)
    except Exception as error:
        # Catch everything: httpx raises its own error, but also lets errors of its codecs through.
        raise NoAnswerError(Trouble.ADDRESS, type(error).__name__) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise NoAnswerError(Trouble.ADDRESS, "UnsupportedProtocol")
    return parsed


async def fetch(
    method: str,
    url: str,
    limits: Limits,
    *,
    params: Params | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Fetched:
    """Send one request on a new connection and read its answer.

    Any HTTP status counts as an answer.

    Raises:
        NoAnswerError: for every other outcome, whatever the server or a library does.
    """
    target = usable_address(url, params)
    with traced_call(method, str(target)) as call:
        try:
            async with asyncio.timeout(limits.seconds):
                answer = await _fetch(method, target, limits, {**(headers or {}), **call.headers}, body)
        except NoAnswerError as error:
            call.error = error.trouble
            raise
        except Exception as error:
            call.error = type(error).__name__
            raise NoAnswerError(trouble_of(error), type(error).__name__) from error
        call.status = answer.status
        return answer


def trouble_of(error: Exception) -> Trouble:
    """Classify an exception of the underlying libraries.

    An unknown exception is BROKEN: its request may have taken effect.
    """
    if isinstance(error, (httpcore.ConnectError, httpcore.ConnectTimeout)):
        return Trouble.CONNECT
    if isinstance(error, (httpcore.TimeoutException, TimeoutError)):
        return Trouble.TIMEOUT
    if isinstance(error, (httpcore.UnsupportedProtocol, httpcore.LocalProtocolError)):
        return Trouble.ADDRESS
    if isinstance(error, UnicodeError):
        # A host name that cannot be looked up.
        return Trouble.ADDRESS
    return Trouble.BROKEN


async def _fetch(
    method: str, url: httpx.URL, limits: Limits, headers: Mapping[str, str], body: bytes | None
) -> Fetched:
    counted = _Counted(HEAD_LIMIT + _FRAMING * (limits.body or 0))
    connection = httpcore.AsyncHTTPConnection(
        origin=httpcore.Origin(url.raw_scheme, url.raw_host, url.port or (443 if url.scheme == "https" else 80)),
        ssl_context=trusted(),
        network_backend=_Backend(counted),
    )
    try:
        answer = await connection.handle_async_request(_request(method, url, limits, headers, body))
        counted.in_head = False
        if limits.body is None:
            return Fetched(answer.status)
        _refuse_encoded(answer.headers)
        # The stream of an answer is always asynchronous here; httpcore's type is wider.
        stream: Any = answer.stream
        kind = b",".join(_values(answer.headers, b"content-type"))[:_LONGEST_KIND].decode("latin-1")
        return Fetched(answer.status, await _read(stream, answer.headers, limits.body), kind)
    finally:
        await connection.aclose()


def _request(
    method: str, url: httpx.URL, limits: Limits, headers: Mapping[str, str], body: bytes | None
) -> httpcore.Request:
    ours = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "holdfast"}
    # Header names are case-insensitive, and servers refuse duplicates: let the caller's replace ours.
    given = {name.lower() for name in headers}
    sent = {name: value for name, value in ours.items() if name.lower() not in given} | dict(headers)
    lines = [(b"Host", url.netloc), *((name.encode(), value.encode()) for name, value in sent.items())]
    if body is not None:
        lines.append((b"Content-Length", str(len(body)).encode()))
    seconds = limits.seconds
    timeouts = {"connect": min(CONNECT_TIMEOUT, seconds), "read": seconds, "write": seconds}
    return httpcore.Request(
        method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=lines,
        content=body,
        extensions={"timeout": timeouts},
    )


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value.strip() for name, values in headers if name.lower() == wanted for value in values.split(b",")]


def _refuse_encoded(headers: Iterable[tuple[bytes, bytes]]) -> None:
    if any(value.lower() not in (b"", b"identity") for value in _values(headers, b"content-encoding")):
        raise NoAnswerError(Trouble.ENCODED, "EncodedAnswer")


async def _read(chunks: AsyncIterable[bytes], headers: Iterable[tuple[bytes, bytes]], longest: int) -> bytes:
    # `int` is safe here: the parser has already refused lengths that are not numbers or exceed twenty digits.
    if any(int(size) > longest for size in _values(headers, b"content-length")):
        raise NoAnswerError(Trouble.TOO_LONG, "LongAnswer")
    content = bytearray()
    parts = 0
    async for chunk in chunks:
        content += chunk
        parts += 1
        if len(content) > longest or parts > _MOST_PARTS:
            raise NoAnswerError(Trouble.TOO_LONG, "LongAnswer")
    return bytes(content)


@dataclass
class _Counted:
    """Bytes that one call has read so far, and its limit."""

    longest: int
    total: int = 0
    in_head: bool = True


@dataclass
class _Stream(httpcore.AsyncNetworkStream):
    """A stream that checks its byte count before each read.

    This bounds everything a server might send endlessly: headers, interim answers, chunk extensions, trailers.
    """

    inner: httpcore.AsyncNetworkStream
    counted: _Counted = field(repr=False)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the library's
        counted = self.counted
        if counted.total >= (HEAD_LIMIT if counted.in_head else counted.longest):
            raise NoAnswerError(Trouble.TOO_LONG, "LongHead" if counted.in_head else "LongAnswer")
        data = await self.inner.read(min(max_bytes, _READ_HEAD if counted.in_head else _READ), timeout)
        counted.total += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the library's
        await self.inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self.inner.start_tls(ssl_context, server_hostname, timeout), self.counted)

    def get_extra_info(self, info: str) -> Any:
        return self.inner.get_extra_info(info)


class _Backend(httpcore.AsyncNetworkBackend):
    """A network backend that counts the bytes of its connections."""

    def __init__(self, counted: _Counted) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._counted = counted

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        inner = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        if is_shut(inner.get_extra_info("server_addr"), inner.get_extra_info("client_addr")):
            await inner.aclose()
            raise NoAnswerError(Trouble.CONNECT, SHUT_DOOR)
        return _Stream(inner, self._counted)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
