"""Prepared requests for the load generator."""

from __future__ import annotations

from clients.http.requests import PreparedRequest


def request(address: str, **changes: object) -> PreparedRequest:
    plain: dict[str, object] = {"method": "GET", "url": address, "headers": {}, "body": None, "timeout": 5.0}
    return PreparedRequest.model_validate(plain | changes)
