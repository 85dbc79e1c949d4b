"""One real Temporal server for all tests; a lab, a store and a worker for each test that asks for them."""

from __future__ import annotations

from tests.support.runs.fixtures import bench, idle_bench, temporal

__all__ = ["bench", "idle_bench", "temporal"]
