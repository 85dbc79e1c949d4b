"""The plan's request, encoded identically for analysis and load.

See `peer-contract` property 36.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from clients.secrets.values import Secrets
from domain.cases.tokens import BAGGAGE_HEADER, is_analysis_marker
from domain.plans.request import Login, Request
from domain.plans.validation.request_rules import FORM_TYPE

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"


class PreparedRequest(BaseModel):
    """A request that is ready to be sent any number of times.

    Holds secrets: never store or log it.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float
    """Total timeout, in seconds."""
    connect_timeout: float | None = None
    """Limit for connecting, in seconds. None: only the total applies."""
    read_timeout: float | None = None
    """Longest silence of the server, in seconds. None: only the total applies."""
    login: PreparedLogin | None = None

    def __repr__(self) -> str:
        # URL, headers and body may hold secrets.
        return f"PreparedRequest({self.method})"

    __str__ = __repr__


class PreparedLogin(BaseModel):
    """The login that gets the bearer token of a request.

    Holds secrets: never store or log it.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    request: PreparedRequest
    token: str
    """Path of the token in the JSON answer, with dots."""
    key: str
    """Equal for equal logins, which share a token."""

    def __repr__(self) -> str:
        # Every field may hold a secret.
        return "PreparedLogin()"

    __str__ = __repr__


def prepare(request: Request, secrets: Secrets, baggage: str | None) -> PreparedRequest:
    """Resolve secrets, merge the query, encode the body, set the baggage header.

    `baggage` replaces a baggage header of the plan. None (the baseline) removes it, as the original does.
    """
    body, kind = _body(request, secrets)
    url = _address(request.url, secrets)
    if request.query:
        query = _fields(request.query, secrets)
        between = "?" if "?" not in url else "" if url.endswith(("?", "&")) else "&"
        url += between + query
    return PreparedRequest(
        method=str(request.method),
        url=url,
        headers=_headers(request.headers, secrets, baggage, kind),
        body=body,
        **_limits(request),
        login=None if request.login is None else _login(request, request.login, secrets, baggage),
    )


def _login(request: Request, login: Login, secrets: Secrets, baggage: str | None) -> PreparedLogin:
    body, kind = _body(login, secrets)
    # A login never carries the tokens of a case.
    url = _address(login.url, secrets)
    headers = _headers(login.headers, secrets, None, kind)
    content = repr((login.method, url, headers, body, login.token)).encode()
    if baggage is not None and is_analysis_marker(baggage):
        # During analysis, unmarked traffic would look like lost baggage.
        headers[BAGGAGE_HEADER] = baggage
    sent = PreparedRequest(method=str(login.method), url=url, headers=headers, body=body, **_limits(request))
    return PreparedLogin(request=sent, token=login.token, key=sha256(content).hexdigest())


def _limits(request: Request) -> dict[str, float | None]:
    """Return every time limit in seconds."""
    limits = {name: getattr(request, name) for name in ("timeout", "connect_timeout", "read_timeout")}
    return {name: limit if limit is None else limit.total_seconds() for name, limit in limits.items()}


def _address(url: str, secrets: Secrets) -> str:
    # Cut off the fragment: it never reaches a server, and neither would a query appended to it.
    return secrets.resolve(url.partition("#")[0])


def _headers(given: Mapping[str, str], secrets: Secrets, baggage: str | None, kind: str) -> dict[str, str]:
    """Merge the plan's headers, our baggage and the body's content type.

    Our baggage replaces the plan's. A content type is added only for a body, and only if the plan sets none.
    """
    headers = {name: secrets.resolve(value) for name, value in given.items() if name.lower() != BAGGAGE_HEADER}
    if baggage is not None:
        headers[BAGGAGE_HEADER] = baggage
    if kind and not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = kind
    return headers


def _body(request: Request | Login, secrets: Secrets) -> tuple[bytes | None, str]:
    """Encode the body; return its bytes and content type, if any."""
    if request.form is not None:
        return _fields(request.form, secrets).encode(), FORM_TYPE
    if isinstance(request, Request) and request.raw is not None:
        return secrets.resolve(request.raw).encode(), TEXT_TYPE
    if request.json_body is not None:
        return json.dumps(secrets.resolve_json(request.json_body)).encode(), JSON_TYPE
    return None, ""


def _fields(fields: Mapping[str, str | list[str]], secrets: Secrets) -> str:
    """Encode fields for a query or form, one pair for each value."""
    pairs = [(name, item) for name, value in fields.items() for item in ([value] if isinstance(value, str) else value)]
    return urlencode([(name, secrets.resolve(item)) for name, item in pairs])
