"""The user request of a plan, and the form of its addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import AddressValueError, IPv6Address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from domain.base import StrictModel, UnfitError
from domain.units import PositiveDuration

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_NOT_IN_URLS = re.compile(r"[\s\\\x00-\x1f\x7f]")
_SCALAR = {"type": ["string", "integer", "boolean"]}
_ADDRESS = "write the whole address, for example http://127.0.0.1:8080"
_NO_SCALAR = {
    type(None): ("nothing", "give it a value, or leave the field out"),
    dict: ("a mapping", "write one value; send structured data as json"),
    list: ("a list", "write one value"),
}


def _absolute_http_url(value: str) -> str:
    if _NOT_IN_URLS.search(value):
        raise UnfitError("must not contain spaces, backslashes or control characters", "percent-encode them")
    netloc = value.partition("://")[2].partition("/")[0]
    if "${" in netloc:
        raise UnfitError("must name its host in full", "safety.allowed_hosts is checked before any secret is put in")
    try:
        parts = urlsplit(value)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UnfitError("is not an address: its host or port cannot be read", _ADDRESS) from error
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise UnfitError("must be an absolute http:// or https:// address", _ADDRESS)
    if "@" in parts.netloc:
        raise UnfitError("must not carry a user name or password", "send them as a header with ${env:NAME}")
    if not (_is_ipv6(host) if ":" in host else _HOST.fullmatch(host)):
        raise UnfitError("names a host with characters that are not valid in a host", _ADDRESS)
    if not value.partition("#")[0].isascii():
        raise UnfitError("has characters beyond ASCII, which cannot be sent", "percent-encode them: %C3%BC for ü")
    return value


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host.partition("%")[0])
    except AddressValueError:
        return False
    return True


def _base_url(value: str) -> str:
    if "?" in value or "#" in value:
        raise UnfitError("must not have a query or fragment", "it is a base address, to which paths are appended")
    return value


@dataclass(frozen=True)
class IsAddress:
    """A marker for the type of a field that holds an address.

    Something is sent to this address. `domain/plans/addresses.py` finds the field by this marker.
    """


HttpUrl = Annotated[str, StringConstraints(max_length=2048), AfterValidator(_absolute_http_url), IsAddress()]
"""An absolute http(s) URL, kept as text exactly as written."""

BaseUrl = Annotated[HttpUrl, AfterValidator(_base_url)]
"""The base address of a server. Paths are appended to it."""


def _as_text(value: object) -> str:
    """Return the value as the text that will be sent."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        # `1.10` would be sent as 1.1.
        raise UnfitError("is a fraction, which can be spelled in many ways", "put it in quotes")
    what, hint = _NO_SCALAR.get(type(value), (f"a {type(value).__name__}", "put it in quotes"))
    raise UnfitError(f"must be text, a whole number, true or false, not {what}", hint)


def _one_or_more(value: object) -> str | list[str]:
    if not isinstance(value, list):
        return _as_text(value)
    if not value:
        raise UnfitError("is an empty list", "leave the field out if you do not want to send it")
    return [_as_text(item) for item in value]


ScalarText = Annotated[str, BeforeValidator(_as_text), WithJsonSchema(_SCALAR)]
"""A value that is sent as text. Whole numbers, true and false need no quotes."""

FieldValue = Annotated[
    str | list[str],
    BeforeValidator(_one_or_more),
    WithJsonSchema({"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}),
]
"""A field of a query or form. A list sends the field several times, in this order."""


class Method(StrEnum):
    """HTTP methods that a request may use."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    OPTIONS = "OPTIONS"


def _path_into_json(value: str) -> str:
    if not all(value.split(".")) or any(character.isspace() for character in value):
        raise UnfitError("is not a path into a JSON answer", "write names joined by dots, for example data.token")
    return value


class Login(StrictModel):
    """A request that yields the bearer token for the plan's request.

    It is sent before the first request that needs the token, and once more when a token is answered with 401. It never
    carries the baggage of a case: the test covers the system as a logged-in user sees it.
    """

    method: Method = Method.POST
    url: HttpUrl
    """Absolute URL. Its host must be allowed, like any other."""
    headers: dict[str, ScalarText] = {}
    """Headers, sent as they are. Write secrets as `${env:NAME}` or `${file:NAME}`."""
    json_body: Any = Field(default=None, alias="json")
    """A JSON body. Write secrets as `${env:NAME}` or `${file:NAME}`."""
    form: dict[str, FieldValue] | None = None
    """A form, in place of a JSON body. Write secrets as `${env:NAME}` or `${file:NAME}`."""
    token: Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_path_into_json)] = (
        "access_token"  # noqa: S105 - a field's name
    )
    """Path of the token in the JSON answer. Names are joined with dots, such as `data.token`; a number is a position in
    a list. The default is OAuth's name for the token (RFC 6749, section 5.1)."""


class Request(StrictModel):
    """The user request whose resilience is tested.

    The analysis and the load test send exactly this request, for real.
    """

    method: Method = Method.GET
    url: HttpUrl
    """Absolute URL. Its own query, if any, comes before `query`."""
    headers: dict[str, ScalarText] = {}
    """Headers, sent as they are. Write secrets as `${env:NAME}` or `${file:NAME}`. Holdfast itself sets `baggage`."""
    query: dict[str, FieldValue] = {}
    """Fields that are appended to the URL, percent-encoded and in this order."""
    json_body: Any = Field(default=None, alias="json")
    """A JSON body, sent as application/json unless a header sets another type."""
    form: dict[str, FieldValue] | None = None
    """A form, sent as application/x-www-form-urlencoded."""
    raw: str | None = None
    """A body sent as it is, in UTF-8. Its type is text/plain unless a header sets another one."""
    timeout: PositiveDuration = timedelta(seconds=10)
    """Total time for one request, from connecting to the last byte of the answer."""
    connect_timeout: PositiveDuration | None = None
    """Time limit for connecting alone. Default: `timeout` is the only limit."""
    read_timeout: PositiveDuration | None = None
    """Longest silence while waiting for an answer and reading it. Default: `timeout` is the only limit."""
    login: Login | None = None
    """Login that yields the bearer token of the request. The token is sent in the Authorization header."""
    repeatable: bool = False
    """A promise that sending the request many times does no harm. Required for every method except GET and HEAD."""

    @property
    def body_fields(self) -> dict[str, Any]:
        """The given ones of `json`, `form` and `raw`.

        There is at most one: `domain/plans/validation/request_rules.py` makes sure of that.
        """
        given = {"json": self.json_body, "form": self.form, "raw": self.raw}
        return {name: value for name, value in given.items() if value is not None}
