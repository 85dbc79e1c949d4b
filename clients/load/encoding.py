"""A prepared request as bytes: encoded once, sent any number of times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from clients.http.requests import PreparedRequest

_OURS = {"accept": "*/*", "user-agent": "holdfast"}
"""Headers sent unless the plan sets them.

They do not ask for compression, because recordings and reports show bodies as received.
"""
_WITH_BODY = ("POST", "PUT", "PATCH")
"""Methods that send a Content-Length even without a body (RFC 9110 8.6)."""
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """The server that a connection leads to."""

    secure: bool
    host: str
    port: int


@dataclass(frozen=True)
class Encoded:
    """A request as bytes, with what its exchange needs.

    Holds secrets.
    """

    origin: Origin
    data: bytes
    head: int
    """Bytes of `data` before the empty line that ends the headers."""
    has_no_body: bool
    """Whether the answer has no body, whatever its headers: to a HEAD."""
    timeout: float
    """Total timeout, in seconds."""
    connect_timeout: float | None
    """Limit for connecting, in seconds. None: only the total applies."""
    read_timeout: float | None
    """Longest silence of the server, in seconds. None: only the total applies."""

    def with_header(self, name: str, value: str) -> Self:
        """Return the same request with one more header."""
        data, at = self.data, self.head
        return replace(self, data=b"".join((data[:at], f"{name}: {value}\r\n".encode(), data[at:])))

    def __repr__(self) -> str:
        # The bytes hold secrets.
        return f"Encoded({self.origin.host})"


def encode(request: PreparedRequest, token: str | None = None) -> Encoded:
    """Encode a sendable request, adding the bearer token if there is one.

    Headers and target are sent exactly as written.
    """
    parts = urlsplit(request.url)
    port = parts.port or _PORTS[parts.scheme]
    given = {name.lower() for name in request.headers}
    lines = [f"{request.method} {_target(request.url)} HTTP/1.1"]
    if "host" not in given:
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        lines.append(f"Host: {host}" if port == _PORTS[parts.scheme] else f"Host: {host}:{port}")
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    lines += [f"{name.title()}: {value}" for name, value in _OURS.items() if name not in given]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    body = request.body or b""
    if request.body is not None or request.method in _WITH_BODY:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, ""]).encode()
    return Encoded(
        origin=Origin(parts.scheme == "https", parts.hostname or "", port),
        data=head + b"\r\n" + body,
        head=len(head),
        has_no_body=request.method == "HEAD",
        timeout=request.timeout,
        connect_timeout=request.connect_timeout,
        read_timeout=request.read_timeout,
    )


def _target(url: str) -> str:
    """Return path and query byte for byte."""
    # Cut by hand: a URL library might resolve dots or rewrite escapes.
    rest = url.partition("://")[2]
    start = min((rest.index(mark) for mark in "/?" if mark in rest), default=len(rest))
    target = rest[start:]
    return target if target.startswith("/") else f"/{target}"
