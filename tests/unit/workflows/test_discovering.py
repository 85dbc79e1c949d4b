"""Discovery ends after a few rounds, whatever a round finds and cannot capture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from domain.calls.model import CallsFound
from domain.cases import unmeasurable
from workflows.resilience.discovering import DiscoveringRun


def discovering(captured: list[str], excluded: list[Any], pairs: list[int]) -> tuple[DiscoveringRun, list[int]]:
    """A run that finds the same call in every reading, and can capture the given services only."""
    run, reads = DiscoveringRun.__new__(DiscoveringRun), []

    async def read(_window: Any, number: int) -> CallsFound:
        reads.append(number)
        return CallsFound(new=1, to_capture=["left"], pairs=pairs)

    async def capture(services: list[str], _number: int) -> list[Any]:
        return [SimpleNamespace(service=name) for name in services if name in captured]

    async def ask(_pairs: list[int]) -> None:
        return None

    vars(run).update(_read_calls=read, _capture_again=capture, _ask_pairs=ask, _excluded=excluded)
    return run, reads


@pytest.mark.parametrize(
    ("captured", "missed", "pairs", "reads"),
    [
        ([], False, [], [1]),
        ([], False, [3], [1, 2]),
        (["left"], False, [], [1, 2]),
        # Calls caused by a service that was first broken in the last round are read as well.
        (["left"], True, [], [1, 2, 3]),
    ],
    ids=["nothing can be captured", "a pair is broken", "always something new", "missed by the analysis"],
)
async def test_discovery_ends_after_three_rounds_at_most(
    captured: list[str], missed: bool, pairs: list[int], reads: list[int]
) -> None:
    run, seen = discovering(captured, [unmeasurable.no_traffic("left")] if missed else [], pairs)
    await run._follow_calls(None)  # type: ignore[arg-type]
    assert seen == reads
