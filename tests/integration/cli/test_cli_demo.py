"""`holdfast demo` as a whole: the sentence that the README begins with."""

from __future__ import annotations

import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.cli.terminal import Terminal

Start = Callable[..., Awaitable[Terminal]]
PLANTED = {"bestsellers+recommendations", "bestsellers+reviews", "reviews+shipping"}


@pytest.mark.exhaustive
async def test_the_demo_finds_the_planted_pairs_and_leaves_nothing_active(holdfast: Start, tmp_path: Path) -> None:
    """All three pairs fail, no single failure does, and the exit code is 0.

    Settings for another Temporal server or store are not used.
    """
    terminal = await holdfast(
        "demo", TEMPORAL_ADDRESS="nowhere.invalid:1", TEMPORAL_API_KEY="x", HOLDFAST_TASK_QUEUE="other"
    )
    assert await terminal.end(100) == 0, terminal.text
    rows = dict(re.findall(r"^(\S+) +(FAILED|passed|invalid|skipped|inconclusive) ", terminal.text, re.MULTILINE))
    assert len(rows) == 16
    assert {case for case, verdict in rows.items() if verdict == "FAILED"} == PLANTED, terminal.text
    assert set(rows.values()) == {"FAILED", "passed"}, terminal.text
    assert "the shop itself reports: 0 faults, 0 rules, 0 recordings on; 6 of 6 services healthy" in terminal.text
    assert "\x1b" not in terminal.text
    assert (tmp_path / ".holdfast" / "demo" / "1" / "holdfast.db").exists()


@pytest.mark.exhaustive
async def test_an_interrupted_demo_puts_the_shop_back_and_ends(holdfast: Start) -> None:
    """One Ctrl-C in the middle of a fault: recovery, then everything ends, with exit code 130."""
    terminal = await holdfast("demo")
    await terminal.until(" broken (", 60)
    terminal.signal(signal.SIGINT)
    assert await terminal.end(60) == 130, terminal.text
    assert "recovery: verified, nothing is left on" in terminal.text
    assert "the shop itself reports: 0 faults, 0 rules, 0 recordings on" in terminal.text
    assert terminal.text.splitlines()[-1].startswith("done after ")
