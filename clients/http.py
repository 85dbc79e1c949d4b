"""Control calls to peers over HTTP: bounded in time and size, and every error translated once.

The order in which an answer is read is fixed: transport, HTTP status, JSON object, then `success: false`, which the
peers send even with status 200 (`peer-contract` section 1). Never «data, else the whole body».
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from clients.trust import trusted
from workflows.contracts.errors import ErrorCode, HoldfastError

CONNECT_TIMEOUT = 5.0
"""Seconds until a connection must stand."""

LARGEST_ANSWER = 32 * 1024 * 1024
"""Bytes; a longer answer is refused instead of filling the worker's memory."""

_SHOWN = 300

Params = dict[str, str | int]

Shown = Callable[[str, int], str]
"""What an error may quote of a peer's words: so many characters. The worker's removes secrets before it cuts."""


def cut_short(words: str, longest: int) -> str:
    """The beginning: where no secret is known, as on the command line."""
    return words[:longest]


def _as_text(value: object) -> object:
    return value if value is None or isinstance(value, str) else json.dumps(value)


Text = Annotated[str | None, BeforeValidator(_as_text)]
"""Text of a peer, or null; anything else, as bodies and ids may come, becomes its JSON."""


class Wire(BaseModel):
    """A part of a peer's answer: nulls and absences are alike, unknown fields are not ours to judge."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


W = TypeVar("W", bound=Wire)


def segment(text: str) -> str:
    """One segment of a path: ids come from the peer and must not lead anywhere else."""
    return quote(text, safe="")


class PeerAnswer:
    """A whole HTTP answer of a peer."""

    def __init__(self, status: int, text: str, where: str, shown: Shown = cut_short) -> None:
        self.status = status
        self.text = text
        self.where = where
        self._shown = shown

    @property
    def ok(self) -> bool:
        """Status 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            HoldfastError: PEER_GARBAGE.
        """
        try:
            value = json.loads(self.text)
            if "\\ud" in self.text.lower():
                # Half of an escaped character is legal JSON, and no database or socket would take it later.
                value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
        except (ValueError, RecursionError) as error:
            raise self.error(
                ErrorCode.PEER_GARBAGE, "answered something that is not JSON", "is something else at this address?"
            ) from error
        return value

    def object(self) -> dict[str, Any]:
        """The body as a JSON object, of any status.

        Raises:
            HoldfastError: PEER_GARBAGE.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise self.error(ErrorCode.PEER_GARBAGE, "answered JSON that is not an object")
        return body

    def peer_error(self) -> tuple[str, str]:
        """Code and message of the envelope's error; empty where there is none."""
        try:
            error = json.loads(self.text).get("error")
            return (str(error.get("code", "")), str(error.get("message", ""))) if isinstance(error, dict) else ("", "")
        except (ValueError, AttributeError, RecursionError):
            return "", ""

    def read(self, model: type[W], data: Any) -> W:
        """A part of this answer in its model.

        Raises:
            HoldfastError: PEER_GARBAGE, naming the field.
        """
        try:
            return model.model_validate(data)
        except ValidationError as error:
            place = ".".join(str(part) for part in error.errors()[0]["loc"])
            what = f"answered {model.__name__.strip('_').removeprefix('Wire')} with an unreadable '{place}'"
            raise HoldfastError(ErrorCode.PEER_GARBAGE, f"{self.where} {what} (status {self.status})") from error

    def error(self, code: ErrorCode, what: str, hint: str = "") -> HoldfastError:
        """An error that says where, what, the status and the peer's own words."""
        words = self.peer_error()[1] or self.text
        quoted = f": {self._shown(words, _SHOWN)}" if words else ""
        return HoldfastError(code, f"{self.where} {what} (status {self.status}){quoted}", hint=hint)

    def require_ok(self) -> None:
        """Refuse any status but 2xx: 5xx may pass, 4xx will not."""
        if self.status >= 500:
            raise self.error(ErrorCode.PEER_ERROR, "failed", "its own log says more")
        if not self.ok:
            raise self.error(ErrorCode.PEER_REJECTED, "refused", "is this its address, and is it the right version?")

    def data(self, failed: ErrorCode) -> Any:
        """`data` of a successful envelope; None where it is absent.

        Raises:
            HoldfastError: as `require_ok`; `failed` for `success: false`; PEER_GARBAGE for anything else.
        """
        self.require_ok()
        body = self.object()
        success = body.get("success")
        if success is False:
            raise self.error(failed, "said no")
        if success is not True:
            raise self.error(ErrorCode.PEER_GARBAGE, "answered without an envelope")
        return body.get("data")


class PeerHttp:
    """One peer."""

    def __init__(self, peer: str, base_url: str, call_timeout: timedelta, shown: Shown = cut_short) -> None:
        """Name the peer as people know it; `call_timeout` bounds a whole call unless one says otherwise."""
        self._peer = peer
        self._shown = shown
        self._total = call_timeout.total_seconds()
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            timeout=httpx.Timeout(self._total, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            trust_env=False,
            verify=trusted(),
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: object | None = None,
        total: timedelta | None = None,
    ) -> PeerAnswer:
        """One call; any HTTP status is an answer.

        Raises:
            HoldfastError: PEER_UNREACHABLE (no connection, so nothing was sent); PEER_TIMEOUT or PEER_GARBAGE (the
                outcome is unknown); PEER_REJECTED (no usable address).
        """
        where = f"{self._peer} {method} {path}"
        seconds = self._total if total is None else total.total_seconds()
        timeout = httpx.Timeout(seconds, connect=min(CONNECT_TIMEOUT, seconds))
        try:
            async with asyncio.timeout(seconds):
                request = self._client.build_request(method, path, params=params, json=body, timeout=timeout)
                answer = await self._client.send(request, stream=True)
                try:
                    content = await _read(answer, where)
                finally:
                    await answer.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError, OSError) as error:
            raise translate(error, where, str(self._client.base_url), seconds) from error
        return PeerAnswer(answer.status_code, content.decode(errors="replace"), where, self._shown)


class PeerClient:
    """What the clients of the peers share: one `PeerHttp`, closed with the client."""

    def __init__(self, http: PeerHttp) -> None:
        self._http = http

    async def __aenter__(self) -> Self:
        """Use as a context."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()


async def _read(answer: httpx.Response, where: str) -> bytes:
    content = bytearray()
    async for chunk in answer.aiter_bytes():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise HoldfastError(ErrorCode.PEER_GARBAGE, f"{where} answered more than {LARGEST_ANSWER >> 20} MiB")
    return bytes(content)


def translate(error: Exception, where: str, base_url: str, seconds: float) -> HoldfastError:
    """What the HTTP library raised, in our codes. The library's text is left out where it may quote the request."""
    name = type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return HoldfastError(
            ErrorCode.PEER_UNREACHABLE, f"{where}: nothing answers at {base_url} ({name})", hint="is it running there?"
        )
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return HoldfastError(ErrorCode.PEER_TIMEOUT, f"{where}: no whole answer within {seconds:g} s")
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return HoldfastError(ErrorCode.PEER_REJECTED, f"{where}: {base_url} is no usable address ({name})")
    if isinstance(error, (httpx.NetworkError, httpx.DecodingError, httpx.RemoteProtocolError, httpx.TooManyRedirects)):
        # The connection stood: whether the request arrived, and what it did, is not known.
        return HoldfastError(ErrorCode.PEER_GARBAGE, f"{where}: the answer was broken or cut off ({name})")
    return HoldfastError(ErrorCode.PEER_UNREACHABLE, f"{where}: the connection to {base_url} failed ({name})")
