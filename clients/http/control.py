"""Control calls to peers over HTTP, bounded in time and size.

Every error is translated once, here. An answer is always checked in the same order: transport, HTTP status, JSON
object, then `success: false`, which the peers send even with status 200 (`peer-contract` section 1). A missing `data`
never falls back to the whole body.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from clients.http.bounded_json import parse
from clients.http.reader import HEAD_LIMIT, Limits, NoAnswerError, Params, Trouble, fetch
from clients.http.requests import JSON_TYPE
from domain.errors import ErrorCode, HoldfastError

LARGEST_ANSWER = 16 * 1024 * 1024
"""Maximum bytes of an answer.

A longer answer is refused before it fills the worker's memory. The longest answers are those about recordings, which
hold whole bodies.
"""

_SHOWN = 300


Shown = Callable[[str, int], str]
"""A function that cuts a peer's text to a length, for errors.

The worker's implementation removes secrets before it cuts.
"""


def cut_short(words: str, longest: int) -> str:
    """Cut a text without removing secrets.

    For callers that know no secrets, such as the command line.
    """
    return words[:longest]


def _as_text(value: object) -> object:
    return value if value is None or isinstance(value, str) else json.dumps(value)


Text = Annotated[str | None, BeforeValidator(_as_text)]
"""Text from a peer, or null.

Peers may send bodies and ids as other types; those become their JSON.
"""


class Wire(BaseModel):
    """A part of a peer's answer.

    A null means the same as an absent field. Unknown fields are ignored.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)


W = TypeVar("W", bound=Wire)


def segment(text: str) -> str:
    """Quote a text as one segment of a path."""
    # Ids come from the peer: a slash in one must not lead to another path.
    return quote(text, safe="")


class PeerAnswer:
    """A complete HTTP answer of a peer."""

    def __init__(self, status: int, text: str, where: str, shown: Shown = cut_short) -> None:
        self.status = status
        self.text = text
        self.where = where
        self._shown = shown

    @property
    def ok(self) -> bool:
        """True for status 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Parse the body as JSON.

        Raises:
            HoldfastError: PEER_GARBAGE when it is not JSON.
        """
        try:
            value = parse(self.text)
            if "\\ud" in self.text.lower():
                # An escaped lone surrogate is legal JSON, but no database or socket accepts it later: replace it.
                value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
        except ValueError as error:
            raise self.error(
                ErrorCode.PEER_GARBAGE, "answered something that is not JSON", "is something else at this address?"
            ) from error
        return value

    def object(self) -> dict[str, Any]:
        """Parse the body as a JSON object, whatever the status.

        Raises:
            HoldfastError: PEER_GARBAGE when it is not a JSON object.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise self.error(ErrorCode.PEER_GARBAGE, "answered JSON that is not an object")
        return body

    def peer_error(self) -> tuple[str, str]:
        """Return the envelope's error code and message; empty without an error."""
        try:
            error = parse(self.text).get("error")
            return (str(error.get("code", "")), str(error.get("message", ""))) if isinstance(error, dict) else ("", "")
        except (ValueError, AttributeError):
            return "", ""

    def read(self, model: type[W], data: Any) -> W:
        """Validate a part of this answer as a model.

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
        """Build an error from the call, its outcome and the peer's message."""
        words = self.peer_error()[1] or self.text
        quoted = f": {self._shown(words, _SHOWN)}" if words else ""
        return HoldfastError(code, f"{self.where} {what} (status {self.status}){quoted}", hint=hint)

    def require_ok(self) -> None:
        """Raise unless the status is 2xx.

        Raises:
            HoldfastError: PEER_ERROR for 5xx, which may be temporary; PEER_REJECTED for every other status.
        """
        if self.status >= 500:
            raise self.error(ErrorCode.PEER_ERROR, "failed", "its own log shows more")
        if not self.ok:
            raise self.error(ErrorCode.PEER_REJECTED, "refused", "is this its address, and is it the right version?")

    def data(self, failed: ErrorCode) -> Any:
        """Return `data` of a successful envelope; None if it is absent.

        Raises:
            HoldfastError: as `require_ok`; code `failed` for `success: false`; PEER_GARBAGE for anything else.
        """
        self.require_ok()
        body = self.object()
        success = body.get("success")
        if success is False:
            raise self.error(failed, "refused")
        if success is not True:
            raise self.error(ErrorCode.PEER_GARBAGE, "answered without an envelope")
        return body.get("data")


class PeerHttp:
    """The HTTP interface of one peer."""

    def __init__(self, peer: str, base_url: str, call_timeout: timedelta, shown: Shown = cut_short) -> None:
        """Set up calls to a peer; `peer` is its name in errors.

        `call_timeout` bounds a whole call, unless the call sets its own limit.
        """
        self._peer = peer
        self._base_url = base_url.rstrip("/")
        self._shown = shown
        self._total = call_timeout.total_seconds()

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: object | None = None,
        total: timedelta | None = None,
    ) -> PeerAnswer:
        """Make one call; any HTTP status counts as an answer.

        Raises:
            HoldfastError: PEER_UNREACHABLE (no connection, so nothing was sent); PEER_TIMEOUT or PEER_GARBAGE (the
                outcome is unknown); PEER_REJECTED (unusable address, or a body that cannot be encoded).
        """
        where = f"{self._peer} {method} {path}"
        seconds = self._total if total is None else total.total_seconds()
        try:
            sent = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        except ValueError as error:
            # For example a lone surrogate. Nothing was sent, and a retry would fail the same way.
            why = f"{where[:_SHOWN]}: no request can be built for it ({type(error).__name__})"
            raise HoldfastError(ErrorCode.PEER_REJECTED, why) from error
        headers = {"Accept": JSON_TYPE} | ({} if sent is None else {"Content-Type": JSON_TYPE})
        limits = Limits(seconds=seconds, body=LARGEST_ANSWER)
        try:
            answer = await fetch(method, self._base_url + path, limits, params=params, headers=headers, body=sent)
        except NoAnswerError as error:
            raise translate(error, where, self._base_url, limits) from error
        return PeerAnswer(answer.status, answer.text, where, self._shown)


class PeerClient:
    """The base of the peers' clients, with one `PeerHttp`.

    No connection stays open between calls.
    """

    def __init__(self, http: PeerHttp) -> None:
        self._http = http

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the context; there is nothing to close."""


def translate(error: NoAnswerError, where: str, base_url: str, limits: Limits) -> HoldfastError:
    """Translate a missing answer into our error codes."""
    longest = "nothing" if limits.body is None else f"{limits.body / (1 << 20):g} MiB"
    code, what, hint = {
        Trouble.ADDRESS: (ErrorCode.PEER_REJECTED, f"{base_url} is not a usable address", ""),
        Trouble.CONNECT: (ErrorCode.PEER_UNREACHABLE, f"nothing answers at {base_url}", "is it running there?"),
        Trouble.TIMEOUT: (ErrorCode.PEER_TIMEOUT, f"no complete answer within {limits.seconds:g} s", ""),
        # The connection was open: whether the request arrived, and what it did, is unknown.
        Trouble.BROKEN: (ErrorCode.PEER_GARBAGE, "the answer was broken or cut off", ""),
        Trouble.ENCODED: (
            ErrorCode.PEER_GARBAGE,
            "the answer is compressed or otherwise encoded, although the request does not accept that",
            "do not let the peer, or a proxy in front of it, compress answers to such requests",
        ),
        Trouble.TOO_LONG: (
            ErrorCode.PEER_GARBAGE,
            f"the answer is longer than the limit: {longest} of body, {HEAD_LIMIT >> 10} KiB of headers",
            "is something else at this address?",
        ),
    }[error.trouble]
    return HoldfastError(code, f"{where}: {what} ({error.name})", hint=hint)
