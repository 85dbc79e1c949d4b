"""A run sends what its plan says, by the lab's count."""

from __future__ import annotations

from tests.support.http import http_client
from tests.support.runs.bench import STEADY_REQUESTS, Bench


async def test_each_case_sends_exactly_its_requests(bench: Bench) -> None:
    """By the lab's count: the plan's number per case with the case's own header, and the baseline without a header."""
    await bench.run(bench.small_plan(load={"requests": 7, "concurrency": 3}))

    async with http_client() as client:
        counters = (await client.get(f"{bench.lab.addresses.admin}/lab/counters")).json()
    by_header = counters["entry_baggage"]
    tokens = {name: f"chaos.{name}.{kind}=1" for name, kind in (("reviews", "remove"), ("shipping", "error"))}
    assert by_header[tokens["reviews"]] == 7
    assert by_header[tokens["shipping"]] == 7
    assert by_header[f"{tokens['reviews']},{tokens['shipping']}"] == 7
    assert by_header[""] == 7 + STEADY_REQUESTS
    assert all(count == 1 for count in counters["executes"].values())
    assert counters["upserts"] == 1
