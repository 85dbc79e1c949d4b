"""A preview is a promise: the run that follows does what it said, counted by the lab and by the store."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest
import yaml
from click.testing import CliRunner

from cli.main import cli
from tests.e2e.bench import PATIENCE, Bench
from workflows.contracts.preview import Preview
from workflows.contracts.windows import WindowKind


async def counters(bench: Bench) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"{bench.lab.addresses.admin}/lab/counters")).json()  # type: ignore[no-any-return]


async def previewed(bench: Bench, plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Preview:
    """As the command line tells it, with the worker's intervals and a Temporal server that is not there."""
    monkeypatch.setenv("HOLDFAST_TIMING", bench.settings.timing)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    path = bench.folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["preview", "--json", str(path)])
    assert result.exit_code == 0, result.output
    return Preview.model_validate_json(result.stdout)


async def test_a_run_does_what_its_preview_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests at the entry by kind, cases, faults with their time to live, replays, rules; and nothing before it."""
    pair = {"case": "reviews+shipping", "reason": "known"}
    plan = bench.small_plan("reviews", "shipping", "inventory", exclude=[pair], load={"requests": 5, "concurrency": 2})
    before = await counters(bench)
    said = await previewed(bench, plan, monkeypatch)
    assert await counters(bench) == before, "a preview touches nothing"
    assert bench.lab.state().clean

    run = asyncio.create_task(bench.run(plan))
    ttl_of: dict[str, str] = {}
    while not run.done():
        async with httpx.AsyncClient(trust_env=False) as client:
            for name in bench.lab.state().faults:
                answer = (await client.get(f"{bench.lab.addresses.faults}/api/faults/{name}")).json()
                if answer.get("success"):
                    ttl_of[name] = answer["data"]["ttlSec"]
        await asyncio.sleep(0.02)
    summary = await run
    seen = await counters(bench)

    sent, on = said.requests, said.remains_on
    tokens = {one.service: one.token for one in said.faults}
    expected = Counter({"": sent.steady_before + sent.steady_after + sent.steady_at_end + said.requests_per_case})
    results = {one.case_id: one for one in await bench.store.results(summary.execution_id)}
    for case_id, result in results.items():
        if result.measurement is not None and case_id != "baseline":
            expected[",".join(tokens[service] for service in case_id.split("+"))] += said.requests_per_case
    found = Counter(seen["entry_baggage"])
    marked = [baggage for baggage in found if baggage.startswith("holdfast.analysis=")]
    assert sum(found.pop(baggage) for baggage in marked) == sent.analysis
    calls = {baggage: found.pop(baggage) for baggage in [*found] if baggage.startswith("holdfast.calls=")}
    assert sum(calls.values()) == sent.calls + sent.broken
    assert found == expected
    assert sum(seen["entry_baggage"].values()) == sent.total
    assert sent.load == sum(one.measurement.requests for one in results.values() if one.measurement)

    cases = summary.cases
    assert (said.cases.total, said.cases.baseline, said.cases.single, said.cases.dual) == (
        cases.total, cases.baseline, cases.single, cases.dual,
    )  # fmt: skip
    assert (said.cases.measured, said.cases.excluded) == (cases.measured, cases.excluded)
    for one in said.cases.left_out:
        assert results[one.case_id].reason == one.reason

    assert len(seen["executes"]) == sum(seen["executes"].values()) == len(said.faults)
    (ttl,) = {one.ttl_seconds for one in said.faults}
    assert ttl_of
    assert set(ttl_of.values()) == {str(ttl)}
    assert seen["replays"] == dict.fromkeys(said.replays, 1)
    windows = [row for row in await bench.store.ledger_of(summary.execution_id) if row.kind in {one.kind for one in on}]
    assert Counter(row.kind for row in windows) == {
        WindowKind.RECORDING: 1, WindowKind.CALLS: 1, WindowKind.FAULT: len(said.faults),
        WindowKind.RULES: seen["upserts"],
    }  # fmt: skip
    for row in windows:
        began = row.began
        assert began is not None
        held = timedelta(seconds=next(one.window_seconds for one in on if one.kind is row.kind))
        # A window counts from its first step, which a worker takes up a little after its beginning.
        assert held <= row.close_by - began < held + timedelta(seconds=PATIENCE), row.window_id
    captured = await bench.store.captured(summary.execution_id)
    acting = {(one.service, one.method, one.path) for one in captured if not one.no_effect}
    # The shop's services receive one request each, so the least number of rules is the number of rules.
    assert said.rules.at_least == len(acting) + said.rules.services


async def test_the_rules_are_as_many_and_live_as_long_as_was_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the run's own state, which has them from the proxy."""
    plan = bench.small_plan()
    said = await previewed(bench, plan, monkeypatch)
    handle = await bench.start(plan)
    await handle.result()
    await bench.lock_ended(handle)
    state = await bench.status(handle)
    assert state is not None
    assert (state.rules.rules, state.rules.ttl_seconds) == (said.rules.at_least, said.rules.ttl_seconds)
    assert (state.load.batches_total, state.load.batch_size) == (said.cases.batches, said.cases.batch_size)
