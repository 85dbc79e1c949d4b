"""Rows of windows: which faults were open at the same time, and where this is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.executions.state import WindowRow
from domain.executions.window_rows import with_change
from domain.executions.windows import WindowChanged, WindowKind, WindowState
from domain.plans.plan import Plan
from domain.resilience.board import ResilienceBoard
from domain.resilience.overlaps import with_overlaps
from domain.resilience.state import InjectionRow
from tests.support.boards import NOW, board, change

__all__ = ["board"]
"""A fixture shared with other test files."""

DAWN = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(1, 5)), max_size=7)
"""When windows began, and how long they were open. None: still open."""


def row(service: str, began: int, lasted: int | None, kind: WindowKind = WindowKind.FAULT) -> WindowRow:
    """Return a window that began and lasted this many seconds. None: still open."""
    begun = DAWN + timedelta(seconds=began)
    ended = None if lasted is None else begun + timedelta(seconds=lasted)
    state = WindowState.OPEN if ended is None else WindowState.CLOSED
    return WindowRow(window_id=service, kind=kind, state=state, service=service, began_at=begun, ended_at=ended)


def overlaps(rows: list[WindowRow]) -> dict[str, list[str]]:
    """Return by service the services whose faults overlapped."""
    found = with_overlaps([InjectionRow(service=window.service) for window in rows], rows)
    return {injection.service: injection.overlapped for injection in found}


@given(TIMES)
def test_overlaps_list_every_window_open_at_the_same_time(times: list[tuple[int, int | None]]) -> None:
    """From both sides."""
    rows = [row(f"s{number}", began, lasted) for number, (began, lasted) in enumerate(times)]
    found = overlaps(rows)
    for first, second in combinations(range(len(rows)), 2):
        (begun, lasted), (after, long) = times[first], times[second]
        apart = (lasted is not None and begun + lasted <= after) or (long is not None and after + long <= begun)
        assert (f"s{second}" in found[f"s{first}"]) == (f"s{first}" in found[f"s{second}"]) == (not apart)
    assert all(name not in overlapped for name, overlapped in found.items())


def test_only_faults_count_as_overlapping() -> None:
    """The lock and the rules are open for long."""
    rows = [row("a", 1, 2), row("b", 2, 2, WindowKind.RULES), row("c", 2, 2, WindowKind.LOCK)]
    assert overlaps(rows)["a"] == []


def test_a_window_row_keeps_its_beginning_and_ends_only_when_verified() -> None:
    """An unverified window may still be active."""

    def message(state: WindowState, second: int | None) -> WindowChanged:
        at = None if second is None else DAWN + timedelta(seconds=second)
        return change(WindowKind.FAULT, state, service="a", at=at)

    rows = with_change([], message(WindowState.OPENING, 1))
    for state in (WindowState.OPEN, WindowState.CLOSING):
        rows = with_change(rows, message(state, None))
    (closed,), (unverified,) = (
        with_change(rows, message(state, 5)) for state in (WindowState.CLOSED, WindowState.UNVERIFIED)
    )
    assert closed.began_at == unverified.began_at == DAWN + timedelta(seconds=1)
    assert (closed.ended_at, unverified.ended_at) == (DAWN + timedelta(seconds=5), None)


@pytest.mark.parametrize(("most", "seen"), [(1, [[], []]), (2, [["b"], ["a"]])])
def test_overlaps_are_shown_only_if_the_plan_allows_several_faults(
    board: ResilienceBoard, most: int, seen: list[list[str]]
) -> None:
    """With one fault at a time nothing overlaps, whatever the clocks of several servers show."""
    plan = Plan.model_validate(PLAN_OF_TWO | {"safety": {"max_active_faults": most}})
    board.accepted(plan, NOW)
    for service in ("a", "b"):
        board.window_changed(change(WindowKind.FAULT, WindowState.OPENING, service, service=service, at=NOW), NOW)
    assert [injection.overlapped for injection in board.snapshot(NOW).injections] == seen


PLAN_OF_TWO = {
    "name": "shop",
    "system": {"namespace": "shop", "proxy": "http://127.0.0.1:1", "faults": "http://127.0.0.1:2"}
    | {"services": {"a": "http://127.0.0.1:3", "b": "http://127.0.0.1:4"}},
    "request": {"url": "http://127.0.0.1:3/api"},
    "services": [{"name": "b", "fault": "remove", "calls": []}, {"name": "a", "fault": "error", "calls": []}],
    "slo": {"error_rate": "1%"},
}
