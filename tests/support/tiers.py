"""Which of a test's parameters `make test` runs, and which only `make test-all`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark import ParameterSet


def mostly_exhaustive(values: Iterable[Any], *, daily: int = 1) -> list[ParameterSet]:
    """Mark all but the first `daily` values as exhaustive.

    For tests that each cost a run, and whose values are of one kind. A value of several parameters is a tuple.
    """
    return [
        pytest.param(
            *(value if isinstance(value, tuple) else (value,)), marks=() if number < daily else pytest.mark.exhaustive
        )
        for number, value in enumerate(values)
    ]
