"""`holdfast watch` in a real terminal, for the whole of a real run, as a person sees it."""

from __future__ import annotations

import pytest

from domain.resilience.kind import KIND
from tests.support.runs.whole import HEIGHT, Whole


async def test_a_whole_run_can_be_watched_in_a_terminal(whole: Whole) -> None:
    """Each stage, each active fault and its result, the load test, the log, and an outcome that stays on the screen."""
    bench, screens = whole.bench, whole.screens
    if screens is None:
        pytest.skip("tmux is not installed: the live view cannot be driven in a terminal")
    seen = "\n".join(screens.shown)
    for service in ("reviews", "shipping", "recommendations", "bestsellers"):
        assert f"fault in {service} (hf-" in seen
        assert f"  {service:<24} Running" in seen
        assert f"  {service:<24} Recovered fault hf-" in seen
    for stage in ("INJECTING_AND_REPLAYING", "LOAD_TEST_BASELINE"):
        assert f"▸ {stage}" in seen
    for words in (
        "✓ INJECTING_AND_REPLAYING",
        " of 5 services",
        " of 16 cases",
        "on now: rules",
        "log, from the store",
    ):
        assert words in seen
    assert "INFO   all rules were seen to act" in seen
    for shown in screens.shown:
        assert len(shown.splitlines()) == HEIGHT
        assert shown.startswith(("plan shop", "waiting for the run's first answer")), shown
    assert screens.code == 1
    assert screens.kept.splitlines()[0].startswith(f"{KIND.workflow_id(bench.name)}, run ")
    assert "bestsellers+recommendations  FAILED" in screens.kept
    assert "recovery: verified, nothing is left on" in screens.kept
    assert "▸" not in screens.kept
