"""The plan's request as bytes: the same for analysis and load (`peer-contract` property 36)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from clients.secrets.values import Secrets
from domain.cases.tokens import BAGGAGE_HEADER, is_marker
from domain.plans.request import Login, Request
from domain.plans.validation.request_rules import FORM_TYPE

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"


class PreparedRequest(BaseModel):
    """One request, ready to be sent any number of times. Holds secrets: never store or log it."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    timeout: float
    """Total, seconds."""
    connect_timeout: float | None = None
    read_timeout: float | None = None
    """For connecting, and for silence while the answer is waited for, seconds; None: the total is the only limit."""
    login: PreparedLogin | None = None

    def __repr__(self) -> str:
        """Without headers and body, because of the secrets."""
        return f"PreparedRequest({self.method})"

    __str__ = __repr__


class PreparedLogin(BaseModel):
    """How the bearer token of a request is got. Holds secrets: never store or log it."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    request: PreparedRequest
    token: str
    """Where it stands in the JSON answer, with dots."""
    key: str
    """Equal logins have equal ones: they share a token."""

    def __repr__(self) -> str:
        """Nothing of it, because of the secrets."""
        return "PreparedLogin()"

    __str__ = __repr__


def prepare(request: Request, secrets: Secrets, baggage: str | None) -> PreparedRequest:
    """Resolve secrets, merge the query, encode the body, and set our baggage header, or none.

    A baggage header in the plan is replaced; for the baseline it is removed, as the original does.
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
    """Without the tokens of a case. With the analysis' marker: unmarked traffic would look like lost baggage."""
    body, kind = _body(login, secrets)
    url, headers = _address(login.url, secrets), _headers(login.headers, secrets, None, kind)
    content = repr((login.method, url, headers, body, login.token)).encode()
    if baggage is not None and is_marker(baggage):
        headers[BAGGAGE_HEADER] = baggage
    sent = PreparedRequest(method=str(login.method), url=url, headers=headers, body=body, **_limits(request))
    return PreparedLogin(request=sent, token=login.token, key=sha256(content).hexdigest())


def _limits(request: Request) -> dict[str, float | None]:
    """Every limit of time, in seconds."""
    limits = {name: getattr(request, name) for name in ("timeout", "connect_timeout", "read_timeout")}
    return {name: limit if limit is None else limit.total_seconds() for name, limit in limits.items()}


def _address(url: str, secrets: Secrets) -> str:
    # A fragment never reaches a server, and a query behind it would not either.
    return secrets.resolve(url.partition("#")[0])


def _headers(given: Mapping[str, str], secrets: Secrets, baggage: str | None, kind: str) -> dict[str, str]:
    """The plan's headers, our baggage in place of its own, and the kind of the body where there is one."""
    headers = {name: secrets.resolve(value) for name, value in given.items() if name.lower() != BAGGAGE_HEADER}
    if baggage is not None:
        headers[BAGGAGE_HEADER] = baggage
    if kind and not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = kind
    return headers


def _body(request: Request | Login, secrets: Secrets) -> tuple[bytes | None, str]:
    """The body's bytes and what kind of content they are; none without a body."""
    if request.form is not None:
        return _fields(request.form, secrets).encode(), FORM_TYPE
    if isinstance(request, Request) and request.raw is not None:
        return secrets.resolve(request.raw).encode(), TEXT_TYPE
    if request.json_body is not None:
        return json.dumps(secrets.resolve_json(request.json_body)).encode(), JSON_TYPE
    return None, ""


def _fields(fields: Mapping[str, str | list[str]], secrets: Secrets) -> str:
    """Fields as a query and a form have them; one with several values is there several times."""
    pairs = [(name, one) for name, value in fields.items() for one in ([value] if isinstance(value, str) else value)]
    return urlencode([(name, secrets.resolve(one)) for name, one in pairs])
