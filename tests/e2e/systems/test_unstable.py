"""Services that do not become stable again: the answer counts wherever stability is checked."""

from __future__ import annotations

from typing import Any

import pytest

from clients.peers.stability import HttpStabilityClient
from domain.errors import ErrorCode
from domain.executions.execution import Recovery
from domain.executions.windows import ServiceStability
from domain.resilience.model import Phase
from tests.support.runs.bench import Bench
from tests.support.runs.endings import failure
from tests.support.tiers import mostly_exhaustive

UNVERIFIED = (ErrorCode.RECOVERY_UNVERIFIED, Recovery.UNVERIFIED)
NOT_STABLE = (ErrorCode.SERVICE_NOT_STABLE, Recovery.VERIFIED)
NOT_READY = (ErrorCode.INTERCEPTOR_NOT_READY, Recovery.VERIFIED)


@pytest.mark.parametrize(
    ("nth", "ending", "phase", "measured"),
    mostly_exhaustive(
        [
            (3, UNVERIFIED, Phase.INJECTING_AND_REPLAYING, 0),
            (5, NOT_READY, Phase.RULES_READY, 0),
            (1, UNVERIFIED, Phase.ANALYZING_PATTERNS, 0),
            (2, NOT_STABLE, Phase.INJECTING_AND_REPLAYING, 0),
            (4, UNVERIFIED, Phase.INJECTING_AND_REPLAYING, 0),
            (6, UNVERIFIED, Phase.LOAD_TEST_BASELINE, 2),
        ]
    ),
    ids=[
        "after the fault",
        "with the rules",
        "after the recording",
        "while calls are recorded",
        "after the recording of calls",
        "after the rules",
    ],
)
async def test_a_run_ends_at_a_service_that_is_not_stable(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    nth: int,
    ending: tuple[ErrorCode, Recovery],
    phase: Phase,
    measured: int,
) -> None:
    """The failure names the service and what it was seen to do, and nothing new begins."""
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
    assert found.phase == phase
    # For a run's last window, and for recordings, the message only refers to the ledger.
    assert "reviews (a test)" in found.message or nth in (1, 4, 6)
    results = await bench.store.results.all(found.execution_id or 0)
    assert sum(result.measurement is not None for result in results) == measured
    await bench.lock_ended(handle)
    assert bench.lab.state().clean


async def test_an_unusable_readiness_path_does_not_count_as_something_left_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older versions took such plans. Everything is closed and verified, and the failure names the real cause."""
    monkeypatch.setattr("domain.plans.validation.validate.text_rules", lambda _: iter(()))
    plan = bench.small_plan("reviews")
    plan["system"]["stability"] = {"path": "/health\x01"}
    handle = await bench.start(plan)
    found = await failure(bench, handle)
    assert (found.code, found.recovery) == (ErrorCode.SERVICE_NOT_STABLE, Recovery.VERIFIED)
    assert found.phase == Phase.ANALYZING_PATTERNS
    assert "cannot be asked" in found.message
    await bench.lock_ended(handle)
    assert bench.lab.state().clean
