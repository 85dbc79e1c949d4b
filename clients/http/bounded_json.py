"""A strict JSON parser for external input, bounded in depth and size.

Python's parser turns the three characters `[],` into an object of seventy bytes, and blocks the event loop meanwhile.
It returns structures too deep for recursive code to walk, and accepts NaN and infinities, which JSON does not have.
Callers bound the size of the text; this module bounds what the text expands to.
"""

from __future__ import annotations

import json
import re
from itertools import accumulate
from typing import Any

DEEPEST = 100
"""Maximum nesting of arrays and objects.

Far below the thousand frames that Python allows recursive code.
"""

MOST_VALUES = 500_000
"""Maximum values and names in one text: about 50 MB as objects."""

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_STRUCTURE = re.compile(r"[^\[\]{}]+")


def parse(text: str) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: when the text is not JSON, is nested too deeply or has too many values, or when a number is NaN,
            infinite, or an integer of more than 4,300 digits.
    """
    _refuse_large(text)
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _refuse_large(text: str) -> None:
    # Counting marks in the raw text is cheap and never too low: nearly every text passes here.
    brackets = text.count("[") + text.count("{")
    if brackets <= DEEPEST and brackets + text.count(",") + text.count(":") <= MOST_VALUES:
        return
    # Count again without strings: a recorded body is a string that may contain JSON itself.
    stripped = _STRING.sub("", text)
    if stripped.count("[") + stripped.count("{") + stripped.count(",") + stripped.count(":") > MOST_VALUES:
        raise ValueError("too many values")
    structure = _NO_STRUCTURE.sub("", stripped)
    if max(accumulate(_STEPS[ord(mark)] for mark in structure), default=0) > DEEPEST:
        raise ValueError("nested too deeply")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite_float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError("a number beyond all bounds")
    return value
