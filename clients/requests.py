"""The plan's request as bytes: the same for analysis and load (`peer-contract` property 36)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from clients.secrets import Secrets
from workflows.contracts.request import Request
from workflows.logic.request_rules import FORM_TYPE
from workflows.logic.tokens import BAGGAGE_HEADER

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

    def __repr__(self) -> str:
        """Without headers and body, because of the secrets."""
        return f"PreparedRequest({self.method})"

    __str__ = __repr__


def prepare(request: Request, secrets: Secrets, baggage: str | None) -> PreparedRequest:
    """Resolve secrets, merge the query, encode the body, and set our baggage header, or none.

    A baggage header in the plan is replaced; for the baseline it is removed, as the original does.
    """
    headers = {
        name: secrets.resolve(value) for name, value in request.headers.items() if name.lower() != BAGGAGE_HEADER
    }
    if baggage is not None:
        headers[BAGGAGE_HEADER] = baggage
    body, kind = _body(request, secrets)
    if body is not None and not any(name.lower() == "content-type" for name in headers):
        headers["content-type"] = kind
    # A fragment never reaches a server, and a query behind it would not either.
    url = secrets.resolve(request.url.partition("#")[0])
    if request.query:
        query = _fields(request.query, secrets)
        between = "?" if "?" not in url else "" if url.endswith(("?", "&")) else "&"
        url += between + query
    return PreparedRequest(
        method=str(request.method),
        url=url,
        headers=headers,
        body=body,
        timeout=request.timeout.total_seconds(),
    )


def _body(request: Request, secrets: Secrets) -> tuple[bytes | None, str]:
    """The body's bytes and what kind of content they are; none without a body."""
    if request.form is not None:
        return _fields(request.form, secrets).encode(), FORM_TYPE
    if request.raw is not None:
        return secrets.resolve(request.raw).encode(), TEXT_TYPE
    if request.json_body is not None:
        return json.dumps(secrets.resolve_json(request.json_body)).encode(), JSON_TYPE
    return None, ""


def _fields(fields: Mapping[str, str | list[str]], secrets: Secrets) -> str:
    """Fields as a query and a form have them; one with several values is there several times."""
    pairs = [(name, one) for name, value in fields.items() for one in ([value] if isinstance(value, str) else value)]
    return urlencode([(name, secrets.resolve(one)) for name, one in pairs])
