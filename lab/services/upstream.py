"""The way from the lab's address to a real service.

This is a reverse proxy that changes nothing unless it must.
"""

import contextlib
import re
import zlib
from collections.abc import Iterable

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from lab.services.sockets import LARGEST_BODY, LARGEST_HEADER
from lab.settings import LabSettings

_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)
_OF_PROXIES = frozenset(("proxy-authenticate", "proxy-authorization"))
_ASKED_ANEW = frozenset(("host", "content-length", "expect"))
"""Headers for which our own request has its own values."""

_NEVER_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_NOT_BELOW = 500
_ORIGIN = re.compile(r"(?:http:)?//[^/?#]+", re.IGNORECASE)
"""Scheme, host and port. A redirect that keeps the scheme may omit it."""


class Upstream:
    """One real service."""

    def __init__(self, base: str, health: str, settings: LabSettings) -> None:
        self._base = base
        self.health_url = base + health
        self._settings = settings
        # Connections are not kept: if the service closed one just as it was reused, that would look like a failure of
        # the service.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NEVER_ADDED,
            max_line_size=LARGEST_HEADER,
            max_field_size=LARGEST_HEADER,
        )

    async def close(self) -> None:
        """Close every connection to the service."""
        await self._session.close()

    async def healthy(self) -> bool:
        """Return whether it answers, with any status below 500."""
        timeout = aiohttp.ClientTimeout(total=self._settings.health_timeout)
        url = URL(self.health_url, encoded=True)
        try:
            async with self._session.get(url, timeout=timeout, allow_redirects=False) as response:
                return response.status < _NOT_BELOW
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Pass a request on, and its answer back.

        502 if there is no answer or too large a one, 504 if it takes too long.
        """
        if not request.raw_path.startswith("/"):
            return _failed(400, f"{request.raw_path} is not a path of a service")
        try:
            return await self._forward(request, await request.read())
        except TimeoutError:
            return _failed(504, f"{self._base} did not answer within {self._settings.upstream_timeout:g} s")
        except aiohttp.ClientError as error:
            return _failed(502, f"{self._base} cannot be asked: {type(error).__name__}")

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        headers = _without(request.headers, _ASKED_ANEW)
        headers.setdefault("X-Forwarded-Host", request.headers.get("Host", ""))
        async with self._session.request(
            request.method,
            URL(self._base + request.raw_path, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=self._settings.upstream_timeout),
        ) as response:
            content = await _bounded(response.content)
            if content is None:
                return _failed(502, f"{self._base} answers with more than {LARGEST_BODY} bytes")
            return self._build_response(request, response, content)

    def _build_response(
        self, request: web.BaseRequest, response: aiohttp.ClientResponse, content: bytes
    ) -> web.Response:
        # For HEAD, the length is the service's own, as there is no body. For any other method it is computed again.
        headers = _without(response.headers, () if request.method == "HEAD" else ("content-length",))
        if "Location" in headers:
            headers["Location"] = self._rewritten_location(headers["Location"], request.headers.get("Host", ""))
        return web.Response(status=response.status, reason=response.reason, headers=headers, body=content)

    def _rewritten_location(self, location: str, lab: str) -> str:
        """Rewrite a redirect to the service itself.

        It gets the address that the client used, or it would bypass the lab.
        """
        origin = _ORIGIN.match(location)
        if origin is None or not lab or not _same_host_and_port(origin[0], self._base):
            return location
        return f"http://{lab}{location[origin.end() :]}"


def _same_host_and_port(left: str, right: str) -> bool:
    try:
        return URL(left).host == URL(right).host and URL(left).port == URL(right).port
    except ValueError:
        return False


def readable(response: web.Response) -> str:
    """Return the body of an answer as text.

    It is decompressed if possible. Bytes that are no text are replaced.
    """
    body = response.body if isinstance(response.body, bytes) else b""
    if response.headers.get("Content-Encoding", "").lower() in {"gzip", "deflate"}:
        with contextlib.suppress(zlib.error):
            body = zlib.decompressobj(wbits=47).decompress(body, LARGEST_BODY)
    return body.decode(response.charset or "utf-8", errors="replace")


def _without(headers: CIMultiDictProxy[str], excluded: Iterable[str]) -> CIMultiDict[str]:
    """Copy all headers, repeated ones included, except some.

    Left out are the headers of the connection and those in `excluded`.
    """
    named = {name.strip().lower() for value in headers.getall("Connection", []) for name in value.split(",")}
    left_out = {*_HOP_BY_HOP, *_OF_PROXIES, *named, *excluded}
    kept: CIMultiDict[str] = CIMultiDict()
    spelt: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower() not in left_out:
            # With two spellings of one name, the client library would take the second for a correction, and send only
            # the last value.
            kept.add(spelt.setdefault(name.lower(), name), _legible(value))
    return kept


def _legible(value: str) -> str:
    """Return a header's value in a form that can be sent again.

    Bytes that are no UTF-8 are read as Latin-1, because they could not be sent as they are.
    """
    as_it_came = value.encode(errors="surrogateescape")
    try:
        return as_it_came.decode()
    except UnicodeDecodeError:
        return as_it_came.decode("latin-1")


async def _bounded(content: aiohttp.StreamReader) -> bytes | None:
    """Return the whole content, or None if it is too long."""
    read = bytearray()
    async for chunk in content.iter_any():
        read += chunk
        if len(read) > LARGEST_BODY:
            return None
    return bytes(read)


def _failed(status: int, why: str) -> web.Response:
    return web.json_response({"error": why}, status=status)
