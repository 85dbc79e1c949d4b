"""Boards of runs, and messages that change them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.executions.windows import WindowChanged, WindowKind, WindowState
from domain.plans.plan import Plan
from domain.resilience.board import ResilienceBoard

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def board() -> ResilienceBoard:
    plan = Plan.model_validate(
        {
            "name": "shop",
            "system": {
                "namespace": "shop",
                "proxy": "http://127.0.0.1:1",
                "faults": "http://127.0.0.1:2",
                "services": {"a": "http://127.0.0.1:3", "b": "http://127.0.0.1:4"},
            },
            "request": {"url": "http://127.0.0.1:3/api"},
            "services": [{"name": "b", "fault": "remove"}, {"name": "a", "fault": "error"}],
            "slo": {"error_rate": "1%"},
        }
    )
    board = ResilienceBoard()
    board.accepted(plan, NOW)
    return board


def change(kind: WindowKind, state: WindowState, window: str = "w", **facts: Any) -> WindowChanged:
    return WindowChanged(window_id=window, kind=kind, state=state, **facts)
