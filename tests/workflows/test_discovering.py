"""Rounds of discovery end, whatever a round finds and cannot capture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from workflows.contracts.calls import CallsFound
from workflows.discovering import DiscoveringRun
from workflows.logic import coverage


def discovering(captured: list[str], excluded: list[Any]) -> tuple[DiscoveringRun, list[int]]:
    """A run whose every reading finds the same call, and whose captures succeed for the given services only."""
    run, reads = DiscoveringRun.__new__(DiscoveringRun), []

    async def read(_window: Any, number: int) -> CallsFound:
        reads.append(number)
        return CallsFound(new=1, to_capture=["left"])

    async def capture(services: list[str], _number: int) -> list[Any]:
        return [SimpleNamespace(service=name) for name in services if name in captured]

    async def ask(_pairs: list[int]) -> None:
        return None

    vars(run).update(_read_calls=read, _capture_again=capture, _ask_pairs=ask, _excluded=excluded, _pair_pages=0)
    return run, reads


@pytest.mark.parametrize(
    ("captured", "missed", "reads"),
    [
        ([], False, [1]),
        (["left"], False, [1, 2]),
        # What a service causes that was broken in the last round for the first time is read as well.
        (["left"], True, [1, 2, 3]),
    ],
    ids=["nothing can be captured", "always something new", "missed by the analysis"],
)
async def test_there_are_three_rounds_at_most(captured: list[str], missed: bool, reads: list[int]) -> None:
    run, seen = discovering(captured, [coverage.no_traffic("left")] if missed else [])
    await run._follow_calls(None)  # type: ignore[arg-type]
    assert seen == reads
