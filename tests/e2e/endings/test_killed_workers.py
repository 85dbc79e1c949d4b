"""Workers killed with SIGKILL: a second worker goes on, nothing is done twice, and nothing stays on."""

from __future__ import annotations

import pytest

from domain.executions.execution import Recovery
from domain.resilience.model import Phase
from tests.support.http import http_client
from tests.support.runs.bench import STEADY_REQUESTS, Bench, until


async def counters(bench: Bench) -> dict[str, dict[str, int]]:
    async with http_client() as client:
        return (await client.get(f"{bench.lab.addresses.admin}/lab/counters")).json()  # type: ignore[no-any-return]


async def test_a_worker_killed_during_the_load_test_is_replaced(idle_bench: Bench) -> None:
    """The lab's counts show that finished cases are not measured again. Only the case in flight starts afresh."""
    bench = idle_bench
    first = await bench.worker()
    requests = 30
    handle = await bench.start(bench.small_plan(load={"requests": requests, "concurrency": 2}))
    tokens = ["", "chaos.reviews.remove=1", "chaos.shipping.error=1", "chaos.reviews.remove=1,chaos.shipping.error=1"]

    async def third_case_in_flight() -> bool:
        return (await counters(bench))["entry_baggage"].get(tokens[2], 0) >= 4

    await until(third_case_in_flight, "the third case")
    first.kill()
    await first.wait()
    before = (await counters(bench))["entry_baggage"]
    await bench.worker()
    summary = await handle.result()
    await bench.lock_ended(handle)
    after = (await counters(bench))["entry_baggage"]
    assert summary.cases.measured == 4
    # Steady-state requests have no header either, like the baseline's. The analysis carries the marker.
    assert (after[tokens[0]], after[tokens[1]]) == (requests + STEADY_REQUESTS, requests)
    assert after[tokens[2]] == before[tokens[2]] + requests
    assert after[tokens[3]] == requests
    results = await bench.store.results.all(summary.execution_id)
    assert [result.measurement.requests for result in results if result.measurement] == [requests] * 4
    assert summary.recovery is Recovery.VERIFIED
    assert bench.lab.state().clean


@pytest.mark.exhaustive
async def test_a_worker_killed_during_a_fault_is_replaced(idle_bench: Bench) -> None:
    """The fault is injected once and not left on, and the run completes with every case."""
    bench = idle_bench
    first = await bench.worker()
    handle = await bench.start(bench.small_plan())

    async def fault_on() -> bool:
        return bool(bench.lab.state().faults)

    await until(fault_on, "a fault")
    first.kill()
    await first.wait()
    assert bench.lab.state().faults
    await bench.worker()
    summary = await handle.result()
    await bench.lock_ended(handle)
    assert summary.cases.measured == 4
    executes = (await counters(bench))["executes"]
    assert len(executes) == 2
    assert set(executes.values()) == {1}
    assert bench.lab.state().clean


async def test_a_run_cancelled_without_a_worker_is_cleaned_up_by_the_next_worker(idle_bench: Bench) -> None:
    """The worker closes everything that is on before the run ends."""
    bench = idle_bench
    first = await bench.worker()
    handle = await bench.start(bench.small_plan(load={"requests": 400, "concurrency": 1}))
    await bench.until_phase(handle, Phase.LOAD_TEST_BASELINE)
    first.kill()
    await first.wait()
    await handle.cancel()
    assert bench.lab.state().rules
    await bench.worker()
    report = await bench.lock_ended(handle)
    assert report is not None
    assert report.recovery_verified
    assert bench.lab.state().clean
