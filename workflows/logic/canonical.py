"""A plan as one text: equal plans give equal text, and so equal ids."""

from __future__ import annotations

import hashlib
import json

from workflows.contracts.plan import Plan

_ID_BITS = 53
"""Ids fit a double, so that JSON readers everywhere keep them exactly."""


def canonical_json(plan: Plan) -> str:
    """Sorted keys, names as in the plan file, quantities as text; loads back to an equal plan."""
    return compact_json(plan.model_dump(mode="json", by_alias=True))


def compact_json(value: object) -> str:
    """Equal values as equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256(text: str) -> str:
    """Hex digest."""
    return hashlib.sha256(text.encode()).hexdigest()


def content_id(text: str) -> int:
    """A 53-bit number made of the content: the same content has the same id everywhere."""
    return int(sha256(text), 16) >> (256 - _ID_BITS)
