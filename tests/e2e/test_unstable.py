"""Services that do not become stable again: whenever it is asked, the answer counts."""

from __future__ import annotations

from typing import Any

import pytest

from clients.stability import HttpStabilityClient
from tests.e2e.bench import Bench
from tests.e2e.test_endings import failure
from workflows.contracts.errors import ErrorCode
from workflows.contracts.execution import Phase, Recovery
from workflows.contracts.windows import ServiceStability

UNVERIFIED = (ErrorCode.RECOVERY_UNVERIFIED, Recovery.UNVERIFIED)
NOT_STABLE = (ErrorCode.SERVICE_NOT_STABLE, Recovery.VERIFIED)
NOT_READY = (ErrorCode.INTERCEPTOR_NOT_READY, Recovery.VERIFIED)


@pytest.mark.parametrize(
    ("nth", "ending", "phase", "measured"),
    [
        (1, UNVERIFIED, Phase.ANALYZING_PATTERNS, 0),
        (2, NOT_STABLE, Phase.INJECTING_AND_REPLAYING, 0),
        (3, UNVERIFIED, Phase.INJECTING_AND_REPLAYING, 0),
        (4, UNVERIFIED, Phase.INJECTING_AND_REPLAYING, 0),
        (5, NOT_READY, Phase.RULES_READY, 0),
        (6, UNVERIFIED, Phase.LOAD_TEST_BASELINE, 2),
    ],
    ids=[
        "after the recording",
        "while calls are recorded",
        "after the fault",
        "after the recording of calls",
        "with the rules",
        "after the rules",
    ],
)
async def test_nothing_goes_on_beside_a_service_that_is_not_stable(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    nth: int,
    ending: tuple[ErrorCode, Recovery],
    phase: Phase,
    measured: int,
) -> None:
    """The run ends there, names the service and what it was seen to do, and nothing begins any more."""
    real, asked = HttpStabilityClient.wait_until_stable, 0

    async def wait(client: HttpStabilityClient, service: str, **more: Any) -> ServiceStability:
        nonlocal asked
        asked += 1
        found = await real(client, service, **more)
        return found.model_copy(update={"stable": False, "detail": "a test"}) if asked == nth else found

    monkeypatch.setattr(HttpStabilityClient, "wait_until_stable", wait)
    handle = await bench.start(bench.small_plan("reviews"))
    found = await failure(bench, handle)
    assert (found.code, found.recovery) == ending
    assert found.phase is phase
    # The last window of a run, and recordings, say no more than that the ledger knows.
    assert "reviews (a test)" in found.message or nth in (1, 4, 6)
    results = await bench.store.results(found.execution_id or 0)
    assert sum(one.measurement is not None for one in results) == measured
    await bench.lock_ended(handle)
    assert bench.lab.state().clean


async def test_a_readiness_path_that_nobody_can_ask_is_not_something_left_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older versions took such plans: everything is closed and seen to be, and the run ends by its own words."""
    monkeypatch.setattr("workflows.logic.validation.text_rules", lambda _: iter(()))
    plan = bench.small_plan("reviews")
    plan["system"]["stability"] = {"path": "/health\x01"}
    handle = await bench.start(plan)
    found = await failure(bench, handle)
    assert (found.code, found.recovery) == (ErrorCode.SERVICE_NOT_STABLE, Recovery.VERIFIED)
    assert found.phase is Phase.ANALYZING_PATTERNS
    assert "cannot be asked" in found.message
    await bench.lock_ended(handle)
    assert bench.lab.state().clean
