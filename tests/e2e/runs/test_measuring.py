"""Cases beside the baseline, end to end: the lab counts the requests, and the run finds its planted weakness."""

from __future__ import annotations

from typing import Any

import pytest

from clients.store.packing import unpacked
from clients.store.read_models import Arm
from domain.executions.execution import Recovery, Verdict
from domain.measuring.blocks import seed_of
from domain.measuring.comparison import Finding
from tests.support.http import http_client
from tests.support.runs.bench import STEADY_REQUESTS, Bench, until

REQUESTS = 100
"""Five blocks: with fewer, requests that are slow together cannot be compared."""
FEW = 48
"""Two blocks, where nothing depends on the finding."""
TOKENS = {
    "bestsellers": "chaos.bestsellers.error=1",
    "inventory": "chaos.inventory.delay=1",
    "recommendations": "chaos.recommendations.remove=1",
    "reviews": "chaos.reviews.remove=1",
    "shipping": "chaos.shipping.error=1",
}
# A back-off costs 300 ms. p50, because a busy machine stalls some requests.
REGRESSION: dict[str, Any] = {"percentile": "p50", "at_least": "200ms"}


async def sent(bench: Bench) -> dict[str, int]:
    """Return the requests at the entry by baggage header."""
    async with http_client() as client:
        counters = (await client.get(f"{bench.lab.addresses.admin}/lab/counters")).json()
    return counters["entry_baggage"]  # type: ignore[no-any-return]


def token(case_id: str) -> str:
    return ",".join(TOKENS[service] for service in case_id.split("+"))


def comparing(bench: Bench, *services: str, load: dict[str, Any], **slo: Any) -> dict[str, Any]:
    plan = bench.small_plan(*services, load={"concurrency": 8, "warm_up": 0} | load)
    return plan | {"slo": {"regression": REGRESSION} | slo}


@pytest.mark.timeout(300)
async def test_only_the_planted_pair_is_a_regression(retrying_bench: Bench) -> None:
    """Each retry, 300 ms, is within its budget, and the fallback costs nothing. Both retries in a row are too slow."""
    bench = retrying_bench
    budgets = [{"for": name, "budget": "450ms"} for name in ("reviews", "shipping")]
    plan = comparing(bench, "bestsellers", "reviews", "shipping", load={"requests": REQUESTS}, overrides=budgets)
    summary = await bench.run(plan | {"exclude": ["bestsellers+*"]})

    assert summary.verdict is Verdict.FAILED, (summary.failed_cases, summary.inconclusive_cases)
    (failed,) = summary.failed_cases
    assert failed.case_id == "reviews+shipping"
    assert failed.reason.startswith("regression: p50 is ")
    results = {result.case_id: result for result in await bench.store.results.all(summary.execution_id)}
    equal = results["bestsellers"].measurement
    assert equal is not None
    assert equal.comparison is not None
    assert equal.comparison.finding is Finding.EQUIVALENT
    assert results["bestsellers"].verdict is Verdict.PASSED
    counted = await sent(bench)
    # The baseline is measured alone, and beside the only group, of four cases.
    assert counted[""] == 2 * REQUESTS + STEADY_REQUESTS
    assert all(
        counted[token(case_id)] == REQUESTS for case_id in results if case_id != "baseline" and results[case_id].verdict
    )
    seeds = {
        result.measurement.seed for result in results.values() if result.measurement and result.case_id != "baseline"
    }
    assert seeds == {seed_of(summary.execution_id, 1)}
    stored = await bench.store.samples.between(summary.execution_id, 0, 99)
    assert [sample.case_index for sample in stored if sample.arm is Arm.CONTROL] == [1]
    assert all(sample.raw is not None and len(unpacked(sample.raw)) == REQUESTS for sample in stored)
    assert bench.lab.state().clean


@pytest.mark.exhaustive
async def test_a_case_without_successful_requests_is_inconclusive(bench: Bench) -> None:
    """Errors are allowed here, but nothing is known of its latency. The run is inconclusive with it."""
    plan = comparing(bench, "bestsellers", "recommendations", load={"requests": REQUESTS})
    summary = await bench.run(plan)

    assert summary.verdict is Verdict.INCONCLUSIVE
    assert (summary.cases.passed, summary.cases.inconclusive, summary.cases.failed) == (3, 1, 0)
    (unsure,) = summary.inconclusive_cases
    assert unsure.case_id == "bestsellers+recommendations"
    assert "too few requests succeeded" in unsure.reason


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
async def test_cases_end_early_once_they_are_decided(retrying_bench: Bench) -> None:
    """The lab counts as many requests as are stored, at most the plan's maximum.

    The summary shows how many were saved.
    """
    bench = retrying_bench
    most = 1_000
    plan = comparing(bench, "bestsellers", "shipping", load={"max_requests": most})
    summary = await bench.run(plan)

    assert {case.case_id for case in summary.failed_cases} == {"shipping", "bestsellers+shipping"}
    assert summary.cases.passed == 2
    results = {result.case_id: result.measurement for result in await bench.store.results.all(summary.execution_id)}
    counted = await sent(bench)
    for case_id, found in results.items():
        assert found is not None
        if case_id == "baseline":
            assert found.requests == most
        else:
            assert found.requests == counted[token(case_id)] < most
    assert summary.requests_saved == sum(most - found.requests for found in results.values() if found)


@pytest.mark.exhaustive
@pytest.mark.timeout(300)
async def test_a_worker_killed_mid_group_is_replaced(idle_bench: Bench) -> None:
    """Stored groups are not measured again. The interrupted group is, from its beginning and in the same order."""
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
    results = await bench.store.results.all(summary.execution_id)
    groups = {result.case_id: (result.case_index + 5) // 6 for result in results}
    assert summary.cases.measured == 16
    for case_id, group in groups.items():
        if case_id != "baseline":
            lost = before.get(token(case_id), 0) if group == 2 else 0
            assert after[token(case_id)] == FEW + lost, case_id
    steady_before = 3
    # The baseline alone, and beside the first group, is stored. All its other requests were lost.
    lost = before[""] - 2 * FEW - steady_before
    assert after[""] == 4 * FEW + STEADY_REQUESTS + lost
    seeds = [result.measurement.seed for result in results if result.measurement]
    firsts = {0: 0, 1: 1, 2: 7, 3: 13}
    assert seeds == [seed_of(summary.execution_id, firsts[groups[result.case_id]]) for result in results]
    assert summary.recovery is Recovery.VERIFIED
    assert bench.lab.state().clean
