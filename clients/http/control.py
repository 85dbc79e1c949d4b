"""Control calls to peers over HTTP: bounded in time and size, and every error translated once.

The order in which an answer is read is fixed: transport, HTTP status, JSON object, then `success: false`, which the
peers send even with status 200 (`peer-contract` section 1). Never «data, else the whole body».
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
"""Bytes; a longer answer is refused instead of filling the worker's memory. Recordings hold whole bodies: the longest
answers are those about them.
"""

_SHOWN = 300


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
            value = parse(self.text)
            if "\\ud" in self.text.lower():
                # Half of an escaped character is legal JSON, and no database or socket would take it later.
                value = json.loads(json.dumps(value, ensure_ascii=False).encode(errors="replace"))
        except ValueError as error:
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
            error = parse(self.text).get("error")
            return (str(error.get("code", "")), str(error.get("message", ""))) if isinstance(error, dict) else ("", "")
        except (ValueError, AttributeError):
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
        """One call; any HTTP status is an answer.

        Raises:
            HoldfastError: PEER_UNREACHABLE (no connection, so nothing was sent); PEER_TIMEOUT or PEER_GARBAGE (the
                outcome is unknown); PEER_REJECTED (no usable address).
        """
        where = f"{self._peer} {method} {path}"
        seconds = self._total if total is None else total.total_seconds()
        try:
            sent = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        except ValueError as error:
            # Half a character, for example. Nothing was sent, and nothing ever can be.
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
    """What the clients of the peers share: one `PeerHttp`. Nothing of it stays open between calls."""

    def __init__(self, http: PeerHttp) -> None:
        self._http = http

    async def __aenter__(self) -> Self:
        """Use as a context."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave it."""


def translate(error: NoAnswerError, where: str, base_url: str, limits: Limits) -> HoldfastError:
    """Why there is no answer, in our codes."""
    longest = "nothing" if limits.body is None else f"{limits.body / (1 << 20):g} MiB"
    code, what, hint = {
        Trouble.ADDRESS: (ErrorCode.PEER_REJECTED, f"{base_url} is no usable address", ""),
        Trouble.CONNECT: (ErrorCode.PEER_UNREACHABLE, f"nothing answers at {base_url}", "is it running there?"),
        Trouble.TIMEOUT: (ErrorCode.PEER_TIMEOUT, f"no whole answer within {limits.seconds:g} s", ""),
        # The connection stood: whether the request arrived, and what it did, is not known.
        Trouble.BROKEN: (ErrorCode.PEER_GARBAGE, "the answer was broken or cut off", ""),
        Trouble.ENCODED: (
            ErrorCode.PEER_GARBAGE,
            "the answer is compressed or otherwise encoded, although it was asked for as it is",
            "let neither the peer nor what stands before it compress answers whose request does not accept that",
        ),
        Trouble.TOO_LONG: (
            ErrorCode.PEER_GARBAGE,
            f"the answer is longer than is read: {longest} of body, {HEAD_LIMIT >> 10} KiB of headers",
            "is something else at this address?",
        ),
    }[error.trouble]
    return HoldfastError(code, f"{where}: {what} ({error.name})", hint=hint)
