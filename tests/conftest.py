"""Settings and time limits for all tests, and what they share: one real Temporal server, and labs of their own."""

from __future__ import annotations

import asyncio
import faulthandler
import functools
import gc
import inspect
import signal
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.runs.fixtures import bench, idle_bench, retrying_bench, temporal

# Here alone: a session's fixture that a module imports is another fixture, and would start another server.
__all__ = ["bench", "idle_bench", "retrying_bench", "temporal"]

# Tests assert no timings, and a machine may be busy: how long an example takes proves nothing.
settings.register_profile("holdfast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("holdfast")

for _number, _usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
    (signal.SIGQUIT, signal.SIG_DFL),
):
    # Tests in the background (`nohup make test-all &`) inherit these signals as ignored, and every process that a test
    # starts and signals would inherit them, too.
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _usual)

OF_ITS_TIME = 0.9
"""A test that hangs is cancelled after this share of its time limit, and everything it opened is closed in order.
pytest-timeout's own alarm strikes outside the event loop, and leaves workers behind that nothing ever stops."""

CLEANING = 300.0
"""Seconds. If cleaning up takes longer, the process ends: a visible failure instead of a run that hangs."""


def _limited(test: Callable[..., Awaitable[None]], seconds: float) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def limited(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(seconds):
            await test(*args, **kwargs)

    return limited


def pytest_collection_finish() -> None:
    # Half a million objects that live as long as the process: looking through them again and again takes a quarter of a
    # second each time.
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Limit every asynchronous test within its event loop."""
    usual = float(config.getini("timeout"))
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            marker = item.get_closest_marker("timeout")
            item.obj = _limited(item.obj, OF_ITS_TIME * (marker.args[0] if marker else usual))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """End the process if cleaning up takes too long."""
    faulthandler.dump_traceback_later(CLEANING, exit=True)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()
