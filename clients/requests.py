"""The plan's request as bytes: the same for analysis and load (`peer-contract` property 36)."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from clients.secrets import Secrets
from workflows.contracts.plan import Request
from workflows.logic.tokens import BAGGAGE_HEADER


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
    body = None
    if request.json_body is not None:
        body = json.dumps(secrets.resolve_json(request.json_body)).encode()
        if not any(name.lower() == "content-type" for name in headers):
            headers["content-type"] = "application/json"
    # A fragment never reaches a server, and a query behind it would not either.
    url = secrets.resolve(request.url.partition("#")[0])
    if request.query:
        query = urlencode({name: secrets.resolve(value) for name, value in request.query.items()})
        url += ("&" if "?" in url else "?") + query
    return PreparedRequest(
        method=str(request.method),
        url=url,
        headers=headers,
        body=body,
        timeout=request.timeout.total_seconds(),
    )
