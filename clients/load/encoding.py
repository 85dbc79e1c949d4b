"""A prepared request as the bytes that go over the wire: made once, sent any number of times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from clients.http.requests import PreparedRequest

_OURS = {"accept": "*/*", "user-agent": "holdfast"}
"""Sent where the plan has none. Nothing compressed is asked for: recordings and reports show bodies as they came."""
_WITH_BODY = ("POST", "PUT", "PATCH")
"""Their length is told also when it is nothing (RFC 9110, section 8.6)."""
_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """Whom a connection is with."""

    secure: bool
    host: str
    port: int


@dataclass(frozen=True)
class Encoded:
    """One request in bytes, with what its exchange must know. Holds secrets."""

    origin: Origin
    data: bytes
    has_no_body: bool
    """Whether the answer has none whatever its headers say: that to a HEAD."""
    timeout: float
    """Total, seconds; the others too, None where the total is the only limit."""
    connect_timeout: float | None
    read_timeout: float | None

    def __repr__(self) -> str:
        """Without the bytes, because of the secrets."""
        return f"Encoded({self.origin.host})"


def encode(request: PreparedRequest, token: str | None = None) -> Encoded:
    """The bytes of a sendable request, every header and the whole target as they are written; the token beside them."""
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
    return Encoded(
        origin=Origin(parts.scheme == "https", parts.hostname or "", port),
        data="\r\n".join([*lines, "", ""]).encode() + body,
        has_no_body=request.method == "HEAD",
        timeout=request.timeout,
        connect_timeout=request.connect_timeout,
        read_timeout=request.read_timeout,
    )


def _target(url: str) -> str:
    """Path and query byte for byte: no library may resolve dots in it, or write an escape in another way."""
    rest = url.partition("://")[2]
    start = min((rest.index(mark) for mark in "/?" if mark in rest), default=len(rest))
    target = rest[start:]
    return target if target.startswith("/") else f"/{target}"
