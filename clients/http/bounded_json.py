"""JSON of the outside: bounded in depth and number of values, without what JSON does not have.

A parser makes objects of seventy bytes out of `[],`, holds the loop while it does, and hands out nestings that whatever
walks through them later cannot. Callers bound the size of the text; this bounds what becomes of it.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any

DEEPEST = 100
"""Levels of arrays and objects, far below the thousand frames that Python allows recursive code."""

MOST_VALUES = 500_000
"""Values and names in one text, at most: some 50 MB as objects."""

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_STRUCTURE = re.compile(r"[^\[\]{}]+")


def parse(text: str) -> Any:
    """A JSON text's value.

    Raises:
        ValueError: not JSON, or NaN, an infinity, an integer of more than 4,300 digits, too deep, or too many values.
    """
    _refuse_large(text)
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse_large(text: str) -> None:
    opened = text.count("[") + text.count("{")
    if opened <= DEEPEST and opened + text.count(",") + text.count(":") <= MOST_VALUES:
        return
    # Not what stands in strings: bodies of others do.
    bare = _STRING.sub("", text)
    if bare.count("[") + bare.count("{") + bare.count(",") + bare.count(":") > MOST_VALUES:
        raise ValueError("too many values")
    structure = _NO_STRUCTURE.sub("", bare)
    if max(accumulate(_STEPS[ord(mark)] for mark in structure), default=0) > DEEPEST:
        raise ValueError("nested too deeply")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number beyond all bounds")
    return value
