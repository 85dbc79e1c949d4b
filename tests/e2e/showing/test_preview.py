"""A preview is a promise: the run that follows keeps it, counted by the lab and by the store."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cli.main import cli
from domain.executions.windows import WindowKind
from domain.preview.model import Preview
from tests.support.http import http_client
from tests.support.runs.bench import PATIENCE, Bench


async def counters(bench: Bench) -> dict[str, Any]:
    async with http_client() as client:
        return (await client.get(f"{bench.lab.addresses.admin}/lab/counters")).json()  # type: ignore[no-any-return]


async def previewed(bench: Bench, plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Preview:
    """Run `holdfast preview` with the worker's intervals. There is no Temporal server for it."""
    monkeypatch.setenv("HOLDFAST_TIMING", bench.settings.timing)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    path = bench.folder / "plan.yaml"
    path.write_text(yaml.safe_dump(plan))
    result = await asyncio.to_thread(CliRunner().invoke, cli, ["preview", "--json", str(path)])
    assert result.exit_code == 0, result.output
    return Preview.model_validate_json(result.stdout)


async def test_a_run_does_what_its_preview_promised(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests at the entry by kind, cases, faults with their TTL, replays and rules.

    The preview itself touches nothing.
    """
    pair = {"case": "reviews+shipping", "reason": "known"}
    plan = bench.small_plan("reviews", "shipping", "inventory", exclude=[pair], load={"requests": 5, "concurrency": 2})
    before = await counters(bench)
    preview = await previewed(bench, plan, monkeypatch)
    assert await counters(bench) == before, "a preview touches nothing"
    assert bench.lab.state().clean

    run = asyncio.create_task(bench.run(plan))
    ttl_of: dict[str, str] = {}
    while not run.done():
        async with http_client() as client:
            for name in bench.lab.state().faults:
                answer = (await client.get(f"{bench.lab.addresses.faults}/api/faults/{name}")).json()
                if answer.get("success"):
                    ttl_of[name] = answer["data"]["ttlSec"]
        await asyncio.sleep(0.02)
    summary = await run
    seen = await counters(bench)

    sent, on = preview.requests, preview.remains_on
    tokens = {fault.service: fault.token for fault in preview.faults}
    expected = Counter({"": sent.steady_before + sent.steady_after + sent.steady_at_end + preview.requests_per_case})
    results = {stored.case_id: stored for stored in await bench.store.results.all(summary.execution_id)}
    for case_id, result in results.items():
        if result.measurement is not None and case_id != "baseline":
            expected[",".join(tokens[service] for service in case_id.split("+"))] += preview.requests_per_case
    found = Counter(seen["entry_baggage"])
    marked = [baggage for baggage in found if baggage.startswith("holdfast.analysis=")]
    assert sum(found.pop(baggage) for baggage in marked) == sent.analysis
    calls = {baggage: found.pop(baggage) for baggage in [*found] if baggage.startswith("holdfast.calls=")}
    assert sum(calls.values()) == sent.calls + sent.broken
    assert found == expected
    assert sum(seen["entry_baggage"].values()) == sent.total
    assert sent.load == sum(stored.measurement.requests for stored in results.values() if stored.measurement)

    cases = summary.cases
    assert (preview.cases.total, preview.cases.baseline, preview.cases.single, preview.cases.dual) == (
        cases.total, cases.baseline, cases.single, cases.dual,
    )  # fmt: skip
    assert (preview.cases.measured, preview.cases.excluded) == (cases.measured, cases.excluded)
    for case in preview.cases.left_out:
        assert results[case.case_id].reason == case.reason

    assert len(seen["executes"]) == sum(seen["executes"].values()) == len(preview.faults)
    (ttl,) = {fault.ttl_seconds for fault in preview.faults}
    assert ttl_of
    assert set(ttl_of.values()) == {str(ttl)}
    assert seen["replays"] == dict.fromkeys(preview.replays, 1)
    windows = [
        row for row in await bench.store.ledger.of(summary.execution_id) if row.kind in {planned.kind for planned in on}
    ]
    assert Counter(row.kind for row in windows) == {
        WindowKind.RECORDING: 1, WindowKind.CALLS: 1, WindowKind.FAULT: len(preview.faults),
        WindowKind.RULES: seen["upserts"],
    }  # fmt: skip
    for row in windows:
        began = row.began
        assert began is not None
        held = timedelta(seconds=next(planned.window_seconds for planned in on if planned.kind is row.kind))
        # A window counts from its first step, which a worker begins a little after the window itself.
        assert held <= row.close_by - began < held + timedelta(seconds=PATIENCE), row.window_id
    captured = await bench.store.traffic.captured(summary.execution_id)
    acting = {(failure.service, failure.method, failure.path) for failure in captured if not failure.no_effect}
    # The shop's services receive one request each, so the minimum number of rules is exact.
    assert preview.rules.at_least == len(acting) + preview.rules.services


@pytest.mark.exhaustive
async def test_rules_have_the_number_and_ttl_of_the_preview(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's own state has both from the proxy."""
    plan = bench.small_plan()
    preview = await previewed(bench, plan, monkeypatch)
    handle = await bench.start(plan)
    await handle.result()
    await bench.lock_ended(handle)
    state = await bench.status(handle)
    assert state is not None
    assert (state.rules.rules, state.rules.ttl_seconds) == (preview.rules.at_least, preview.rules.ttl_seconds)
    assert (state.load.batches_total, state.load.batch_size) == (preview.cases.batches, preview.cases.batch_size)
