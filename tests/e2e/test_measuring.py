"""Cases beside the baseline, end to end: the lab counts what is sent, and its planted weakness is what is found."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from clients.store.packing import unpacked
from clients.store.read_models import Arm
from domain.executions.execution import Recovery, Verdict
from domain.measuring.blocks import seed_of
from domain.measuring.comparison import Finding
from tests.support.runs.bench import STEADY_REQUESTS, Bench, until

REQUESTS = 100
"""Five blocks: requests that are slow together cannot be compared in fewer."""
FEW = 48
"""Two blocks, where nothing depends on what is found."""
TOKENS = {
    "bestsellers": "chaos.bestsellers.error=1",
    "inventory": "chaos.inventory.delay=1",
    "recommendations": "chaos.recommendations.remove=1",
    "reviews": "chaos.reviews.remove=1",
    "shipping": "chaos.shipping.error=1",
}
# A back-off costs 900 ms in an unhurried lab, far more. The median, because a busy machine stalls some requests.
REGRESSION: dict[str, Any] = {"percentile": "p50", "at_least": "200ms"}


async def sent(bench: Bench) -> dict[str, int]:
    """Requests at the entry by their baggage header."""
    async with httpx.AsyncClient(trust_env=False) as client:
        counters = (await client.get(f"{bench.lab.addresses.admin}/lab/counters")).json()
    return counters["entry_baggage"]  # type: ignore[no-any-return]


def token(case_id: str) -> str:
    return ",".join(TOKENS[one] for one in case_id.split("+"))


def comparing(bench: Bench, *services: str, load: dict[str, Any], **slo: Any) -> dict[str, Any]:
    plan = bench.small_plan(*services, load={"concurrency": 8, "warm_up": 0} | load)
    return plan | {"slo": {"regression": REGRESSION} | slo}


@pytest.mark.timeout(300)
async def test_the_planted_pair_is_a_regression_and_what_is_designed_is_none(bench: Bench) -> None:
    """Each retry, 900 ms, is within its budget, the fallback costs nothing, and both retries in a row are too slow."""
    budgets = [{"for": name, "budget": "1300ms"} for name in ("reviews", "shipping")]
    plan = comparing(bench, "bestsellers", "reviews", "shipping", load={"requests": REQUESTS}, overrides=budgets)
    summary = await bench.run(plan | {"exclude": ["bestsellers+*"]})

    assert summary.verdict is Verdict.FAILED, (summary.failed_cases, summary.inconclusive_cases)
    (failed,) = summary.failed_cases
    assert failed.case_id == "reviews+shipping"
    assert failed.reason.startswith("regression: p50 is ")
    results = {one.case_id: one for one in await bench.store.results(summary.execution_id)}
    equal = results["bestsellers"].measurement
    assert equal is not None
    assert equal.comparison is not None
    assert equal.comparison.finding is Finding.EQUIVALENT
    assert results["bestsellers"].verdict is Verdict.PASSED
    counted = await sent(bench)
    # The baseline, and beside the one group of four.
    assert counted[""] == 2 * REQUESTS + STEADY_REQUESTS
    assert all(counted[token(one)] == REQUESTS for one in results if one != "baseline" and results[one].verdict)
    seeds = {one.measurement.seed for one in results.values() if one.measurement and one.case_id != "baseline"}
    assert seeds == {seed_of(summary.execution_id, 1)}
    stored = await bench.store.samples_in(summary.execution_id, 0, 99)
    assert [one.case_index for one in stored if one.arm is Arm.CONTROL] == [1]
    assert all(one.raw is not None and len(unpacked(one.raw)) == REQUESTS for one in stored)
    assert bench.lab.state().clean


async def test_a_case_of_which_nothing_succeeds_is_inconclusive(bench: Bench) -> None:
    """Where errors are allowed: nothing can be said of its latency. The run is inconclusive with it."""
    plan = comparing(bench, "bestsellers", "recommendations", load={"requests": REQUESTS})
    summary = await bench.run(plan)

    assert summary.verdict is Verdict.INCONCLUSIVE
    assert (summary.cases.passed, summary.cases.inconclusive, summary.cases.failed) == (3, 1, 0)
    (unsure,) = summary.inconclusive_cases
    assert unsure.case_id == "bestsellers+recommendations"
    assert "too few requests succeeded" in unsure.reason


@pytest.mark.timeout(300)
async def test_decisions_end_cases_early_and_the_lab_counts_as_many_as_are_stored(bench: Bench) -> None:
    """At most so many requests; what was saved is said in the result."""
    most = 1_000
    plan = comparing(bench, "bestsellers", "shipping", load={"max_requests": most})
    summary = await bench.run(plan)

    assert {one.case_id for one in summary.failed_cases} == {"shipping", "bestsellers+shipping"}
    assert summary.cases.passed == 2
    results = {one.case_id: one.measurement for one in await bench.store.results(summary.execution_id)}
    counted = await sent(bench)
    for case_id, found in results.items():
        assert found is not None
        if case_id == "baseline":
            assert found.requests == most
        else:
            assert found.requests == counted[token(case_id)] < most
    assert summary.requests_saved == sum(most - found.requests for found in results.values() if found)


@pytest.mark.timeout(300)
async def test_a_worker_killed_amid_a_group_is_replaced(idle_bench: Bench) -> None:
    """What is stored is not measured again; the group that was under way is, from its beginning and in its order."""
    bench = idle_bench
    first = await bench.worker()
    plan = comparing(bench, *TOKENS, load={"requests": FEW})
    handle = await bench.start(plan)
    amid = token("bestsellers+recommendations")

    async def second_group_under_way() -> bool:
        return (await sent(bench)).get(amid, 0) >= 4

    await until(second_group_under_way, "the second group", patience=200)
    first.kill()
    await first.wait()
    before = await sent(bench)
    await bench.worker()
    summary = await handle.result()
    await bench.lock_ended(handle)

    after = await sent(bench)
    results = await bench.store.results(summary.execution_id)
    groups = {one.case_id: (one.case_index + 5) // 6 for one in results}
    assert summary.cases.measured == 16
    for case_id, group in groups.items():
        if case_id != "baseline":
            lost = before.get(token(case_id), 0) if group == 2 else 0
            assert after[token(case_id)] == FEW + lost, case_id
    steady_before = 3
    # The baseline alone, and beside the first group; the rest of what had been sent was lost.
    lost = before[""] - 2 * FEW - steady_before
    assert after[""] == 4 * FEW + STEADY_REQUESTS + lost
    seeds = [one.measurement.seed for one in results if one.measurement]
    firsts = {0: 0, 1: 1, 2: 7, 3: 13}
    assert seeds == [seed_of(summary.execution_id, firsts[groups[one.case_id]]) for one in results]
    assert summary.recovery is Recovery.VERIFIED
    assert bench.lab.state().clean
