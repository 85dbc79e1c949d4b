"""Which of a test's parameters `make test` runs, and which only `make test-all`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet


def mostly_exhaustive(values: Iterable[Any]) -> list[ParameterSet]:
    """Mark all values but the first as exhaustive.

    For tests that each cost a run, and whose values are of one kind. A value of several parameters is a tuple.
    """
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.exhaustive if number else ())
        for number, value in enumerate(values)
    ]
