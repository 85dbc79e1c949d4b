"""Recorded exchanges as `GET /api/recordings/{id}/entries` lists them.

They are flat, and null members are left out.
"""

from datetime import datetime

from pydantic import JsonValue

from lab.envelope import WireModel
from lab.proxy.sessions import Session
from lab.services.sidecar import Exchange

LONGEST_BODY = 10_240
"""Characters of a body. The rest is cut off, and a flag shows it."""


class Entry(WireModel):
    """One request that a service received while it was recorded."""

    recording_id: str
    timestamp: datetime
    namespace: str
    service_name: str
    pod: str
    path: str
    """Path with the query."""
    method: str
    status: int
    x_request_id: str | None
    traceparent: str | None
    request_headers: dict[str, str]
    response_headers: dict[str, str]
    request_body: str | None
    response_body: str | None
    req_bytes: int
    resp_bytes: int
    request_truncated: bool
    response_truncated: bool


def entry_of(session: Session, exchange: Exchange) -> JsonValue:
    """Build the entry of a recorded exchange."""
    authority = exchange.request_headers.get("host", session.service)
    pseudo = {":path": exchange.target, ":method": exchange.method, ":authority": authority, ":scheme": "http"}
    plain = {name: value for name, value in exchange.request_headers.items() if name != "host"}
    entry = Entry(
        recording_id=session.id,
        timestamp=exchange.at.utc,
        namespace=session.namespace,
        service_name=session.service,
        pod=f"{session.service}-0",
        path=exchange.target,
        method=exchange.method,
        status=exchange.status,
        x_request_id=exchange.request_headers.get("x-request-id"),
        traceparent=exchange.request_headers.get("traceparent"),
        request_headers={**pseudo, **plain},
        response_headers={":status": str(exchange.status), **exchange.response_headers},
        request_body=exchange.request_body[:LONGEST_BODY] or None,
        response_body=exchange.response_body[:LONGEST_BODY] or None,
        req_bytes=len(exchange.request_body.encode()),
        resp_bytes=len(exchange.response_body.encode()),
        request_truncated=len(exchange.request_body) > LONGEST_BODY,
        response_truncated=len(exchange.response_body) > LONGEST_BODY,
    )
    listed: JsonValue = entry.model_dump(mode="json", by_alias=True, exclude_none=True)
    return listed
