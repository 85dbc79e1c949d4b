"""A plan as canonical text: equal plans give equal texts and ids.

The order of fields does not matter, except in what is sent: a server may depend on the order of query fields.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from domain.plans.plan import Plan
from domain.plans.request import Request

_ID_BITS = 53
"""Ids fit into a double, so that JSON readers everywhere keep them exactly."""

_AS_WRITTEN = ("headers", "query", "json", "form")
"""Parts of a request that are sent in the order as written."""


def canonical_json(plan: Plan) -> str:
    """Return a plan as text that loads back to an equal plan.

    Keys are sorted, names are those of the plan file, and quantities are text.
    """
    # Without a team, nothing of it: plans stored before there was such a field keep their ids.
    document = _sorted(plan.model_dump(mode="json", by_alias=True, exclude={"team"} if plan.team is None else None))
    return compact(document | {"request": _sorted_request(plan.request)})


def canonical_request(request: Request) -> str:
    """Return the canonical text of a request.

    It is the request's part of the plan's text.
    """
    return compact(_sorted_request(request))


_CAME_LATER = ("connect_timeout", "read_timeout", "login")
"""Fields omitted if they are not given. Requests stored before these fields existed keep their ids."""


def _sorted_request(request: Request) -> dict[str, Any]:
    parts = request.model_dump(mode="json", by_alias=True)
    return _sorted_parts({name: part for name, part in parts.items() if part is not None or name not in _CAME_LATER})


def _sorted_parts(request: dict[str, Any]) -> dict[str, Any]:
    """Sort a request's parts, or a login's, which have the same names."""
    return {
        name: value if name in _AS_WRITTEN else _sorted_parts(value) if isinstance(value, dict) else _sorted(value)
        for name, value in sorted(request.items())
    }


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(item) for name, item in sorted(value.items())}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def compact(value: object) -> str:
    """Return a JSON value as text without spaces. The order of fields stays: it may matter to what is sent."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def sha256(text: str) -> str:
    """Return the SHA-256 of the text as a hex digest."""
    return hashlib.sha256(text.encode()).hexdigest()


def content_id(text: str) -> int:
    """Return a 53-bit number derived from the content.

    The same content has the same id everywhere.
    """
    return int(sha256(text), 16) >> (256 - _ID_BITS)
