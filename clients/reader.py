"""The one way in which control calls read from outside: bounded in time, bytes and meaning.

Peers, canaries, readiness paths and the lab's address list all come through `fetch`. Each call has a connection of its
own, closed when it ends: what a server sends after an answer can never be taken for the next one. Nothing is decoded,
followed, kept or guessed: no content encodings, redirects, cookies or charsets. `tests/security/test_one_reader.py`
keeps other modules from reading by themselves; the load engine has limits of its own (`clients/load/connection.py`).
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

from clients.doors import is_shut
from clients.trust import trusted

CONNECT_TIMEOUT = 5.0
"""Seconds until a connection must stand."""

HEAD_LIMIT = 64 * 1024
"""Bytes of status line and headers, with all interim answers (100 Continue) before them."""

SMALL_BODY = 64 * 1024
"""Bytes of a body that should be short: canaries, address lists."""

SHUT_DOOR = "ShutDoor"
"""Name of the trouble with an address of our own, which nothing is sent to."""

_FRAMING = 4
"""Bytes on the wire for each byte of a body that is allowed. In chunks of one byte each takes six: nobody does that."""

_LONGEST_KIND = 200
"""Characters of a content type that are kept."""

_MOST_PARTS = 50_000
"""Chunks of one body: each costs time, however short it is."""

_READ_HEAD, _READ = 4 * 1024, 16 * 1024
"""Bytes at once: between two reads everything else on the loop has its turn, and heads take longer to parse."""

Params = Mapping[str, str | int]


class Trouble(StrEnum):
    """Why there is no answer."""

    ADDRESS = "address"
    """Not a usable address; nothing was sent."""
    CONNECT = "connect"
    """No connection, and nothing was sent."""
    TIMEOUT = "timeout"
    """No whole answer in time; the request may have acted."""
    BROKEN = "broken"
    """Cut off, or not HTTP/1.1; the request may have acted."""
    ENCODED = "encoded"
    """In an encoding that was not asked for. A few bytes may stand for gigabytes."""
    TOO_LONG = "too long"
    """A head or body beyond its limit."""


class NoAnswerError(Exception):
    """A call without a whole answer. `name` is short and quotes nothing of request or answer."""

    def __init__(self, trouble: Trouble, name: str) -> None:
        super().__init__(name)
        self.trouble = trouble
        self.name = name


@dataclass(frozen=True)
class Limits:
    """How much one call may cost."""

    seconds: float
    """Total, from connecting to the last byte."""
    body: int | None = SMALL_BODY
    """Bytes. None: the body is not read at all."""


@dataclass(frozen=True)
class Fetched:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: str = ""
    """As sent; cut to what any real one has."""

    @property
    def text(self) -> str:
        """The body as UTF-8; what is not becomes U+FFFD. No charset of the other side is looked up."""
        return self.body.decode(errors="replace")


def address(url: str, params: Params | None = None) -> httpx.URL:
    """An address that a request can be sent to.

    Raises:
        NoAnswerError: ADDRESS.
    """
    try:
        parsed = httpx.URL(url) if params is None else httpx.URL(url, params=params)
    except Exception as error:
        # Beside its own error the library lets those of its codecs through.
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
    """Send one request on a new connection and read its answer; any HTTP status is an answer.

    Raises:
        NoAnswerError: for everything else that can happen, whatever the other side or a library does.
    """
    target = address(url, params)
    try:
        async with asyncio.timeout(limits.seconds):
            return await _fetch(method, target, limits, headers or {}, body)
    except NoAnswerError:
        raise
    except Exception as error:
        raise NoAnswerError(trouble_of(error), type(error).__name__) from error


def trouble_of(error: Exception) -> Trouble:
    """What an exception of the libraries below means. An unknown one is BROKEN: its request may have acted."""
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
        # A connection that has just answered streams what follows; httpcore's type covers requests as well.
        stream: Any = answer.stream
        kind = b",".join(_values(answer.headers, b"content-type"))[:_LONGEST_KIND].decode("latin-1")
        return Fetched(answer.status, await _read(stream, answer.headers, limits.body), kind)
    finally:
        await connection.aclose()


def _request(
    method: str, url: httpx.URL, limits: Limits, headers: Mapping[str, str], body: bytes | None
) -> httpcore.Request:
    ours = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "holdfast"}
    # Names are equal whatever their case, and servers refuse a header that is there twice.
    given = {name.lower() for name in headers}
    sent = {name: value for name, value in ours.items() if name.lower() not in given} | dict(headers)
    lines = [(b"Host", url.netloc), *((name.encode(), value.encode()) for name, value in sent.items())]
    if body is not None:
        lines.append((b"Content-Length", str(len(body)).encode()))
    seconds = limits.seconds
    waits = {"connect": min(CONNECT_TIMEOUT, seconds), "read": seconds, "write": seconds}
    return httpcore.Request(
        method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=lines,
        content=body,
        extensions={"timeout": waits},
    )


def _values(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value.strip() for name, values in headers if name.lower() == wanted for value in values.split(b",")]


def _refuse_encoded(headers: Iterable[tuple[bytes, bytes]]) -> None:
    if any(value.lower() not in (b"", b"identity") for value in _values(headers, b"content-encoding")):
        raise NoAnswerError(Trouble.ENCODED, "EncodedAnswer")


async def _read(chunks: AsyncIterable[bytes], headers: Iterable[tuple[bytes, bytes]], longest: int) -> bytes:
    # The parser has refused lengths that are no number, or of more than twenty digits.
    if any(int(size) > longest for size in _values(headers, b"content-length")):
        raise NoAnswerError(Trouble.TOO_LONG, "LongAnswer")
    content, parts = bytearray(), 0
    async for chunk in chunks:
        content += chunk
        parts += 1
        if len(content) > longest or parts > _MOST_PARTS:
            raise NoAnswerError(Trouble.TOO_LONG, "LongAnswer")
    return bytes(content)


@dataclass
class _Counted:
    """What one call has read so far."""

    longest: int
    total: int = 0
    in_head: bool = True


@dataclass
class _Stream(httpcore.AsyncNetworkStream):
    """Counts before it reads: neither headers, interim answers, chunk extensions nor trailers go on for ever."""

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
    """Opens connections whose bytes are counted."""

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
