"""A plan as one text: equal plans give equal text, and so equal ids.

The order of fields says nothing, but for what is sent: a server may mind in which order it gets the fields of a query.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from domain.plans.plan import Plan
from domain.plans.request import Request

_ID_BITS = 53
"""Ids fit a double, so that JSON readers everywhere keep them exactly."""

_AS_WRITTEN = ("headers", "query", "json", "form")
"""Parts of a request that are sent in the order in which they are written."""


def canonical_json(plan: Plan) -> str:
    """Sorted keys, names as in the plan file, quantities as text; loads back to an equal plan."""
    document = _sorted(plan.model_dump(mode="json", by_alias=True))
    return _compact(document | {"request": _sorted_request(plan.request)})


def canonical_request(request: Request) -> str:
    """The same for a request: its part of the plan's text."""
    return _compact(_sorted_request(request))


_CAME_LATER = ("connect_timeout", "read_timeout", "login")
"""Left out where they are not given: what was stored before there were any keeps its id."""


def _sorted_request(request: Request) -> dict[str, Any]:
    parts = request.model_dump(mode="json", by_alias=True)
    return _sorted_parts({name: one for name, one in parts.items() if one is not None or name not in _CAME_LATER})


def _sorted_parts(request: dict[str, Any]) -> dict[str, Any]:
    """Also of the login, whose parts are called as the request's."""
    return {
        name: value if name in _AS_WRITTEN else _sorted_parts(value) if isinstance(value, dict) else _sorted(value)
        for name, value in sorted(request.items())
    }


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(one) for name, one in sorted(value.items())}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def sha256(text: str) -> str:
    """Hex digest."""
    return hashlib.sha256(text.encode()).hexdigest()


def content_id(text: str) -> int:
    """A 53-bit number made of the content: the same content has the same id everywhere."""
    return int(sha256(text), 16) >> (256 - _ID_BITS)
