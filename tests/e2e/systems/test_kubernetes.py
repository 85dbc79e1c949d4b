"""Runs whose plan takes stability from the cluster: the lab's services and peers, beside a stand-in for the cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunFailure, RunStatus
from domain.resilience.model import Phase
from tests.support.clients.cluster import StandIn, stand_in
from tests.support.runs.bench import Bench, until
from tests.support.runs.steady import counters


@pytest.fixture
async def api(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    """Stand-in for the cluster, which the worker finds as anywhere: by KUBECONFIG."""
    async with stand_in() as api:
        monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(bench.folder)))
        yield api


def plan_for(bench: Bench) -> dict[str, Any]:
    plan = bench.small_plan("reviews", "shipping")
    plan["system"]["stability"] = {"kind": "kubernetes", "hold": "100ms", "workloads": {"reviews": "reviews-v2"}}
    assert plan["system"]["namespace"] == "shop"
    return plan


async def test_a_run_waits_for_rollouts(bench: Bench, api: StandIn) -> None:
    """Nothing is broken while a rollout after the recording is unfinished. Then the run goes on to its end."""
    reviews = api.roll_out("reviews-v2", app="reviews")
    api.roll_out("shipping")
    rolled_out = False

    def rolling(_: int) -> None:
        reviews["metadata"]["generation"] = 2
        reviews["status"]["observedGeneration"] = 2 if rolled_out else 1

    async def looked_often() -> bool:
        return api.looks > 40

    api.before_look = rolling
    handle = await bench.start(plan_for(bench))
    await until(looked_often, "many looks at a rollout that is not through")
    assert (await counters(bench))["executes"] == {}
    rolled_out = True
    summary = await handle.result()
    lock = await bench.lock_ended(handle)
    assert (summary.status, summary.recovery) == (RunStatus.COMPLETED, Recovery.VERIFIED)
    assert lock is not None
    assert lock.recovery_verified
    assert not [path for path, _ in api.seen if path.endswith("/reviews")]


async def test_a_service_without_a_deployment_fails_the_run_before_anything_is_on(bench: Bench, api: StandIn) -> None:
    """The message suggests the nearest name, and the peers were asked for nothing."""
    api.roll_out("reviews-v2", app="reviews")
    api.roll_out("shiping")
    handle = await bench.start(plan_for(bench))
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert isinstance(raised.value.cause, ApplicationError)
    found = RunFailure.model_validate(raised.value.cause.details[0])
    assert (found.code, found.phase) == (ErrorCode.VALIDATION_ERROR, Phase.GENERATING_CASES)
    assert "no Deployment 'shipping' (did you mean 'shiping'?)" in found.message
    assert found.recovery is Recovery.NOT_NEEDED
    seen = await counters(bench)
    assert (seen["executes"], seen["upserts"]) == ({}, 0)
    assert bench.lab.state().clean
