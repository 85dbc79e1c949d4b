"""A call that is made only while something is broken is found, captured, and answered by a rule."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowFailureError

from cli.ui.panels import panel_lines
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome
from domain.resilience.state import ResilienceState
from lab import Action, Endpoint, Instruction, Lab, LabSettings, Misbehaviour, PortChoice, Topology
from reports.build.gather import gather
from reports.build.stored_state import stored_state
from reports.model.calls import CallStanding
from tests.support.runs.bench import Bench
from tests.support.tiers import mostly_exhaustive
from worker import running

SHOP = Topology.model_validate(
    {
        "namespace": "listing",
        "entry": "page",
        "services": [
            {
                "name": "page",
                "routes": [{"path": "/api/page", "body": {"page": 1}}],
                "calls": [
                    {
                        "service": "prices",
                        "path": "/api/prices/1",
                        "fallback_service": "catalog",
                        "fallback_path": "/api/listprices/1",
                    },
                    {"service": "catalog", "path": "/api/items/1", "fallback": {"items": []}},
                    {"service": "reviews", "path": "/api/reviews/1", "fallback": {"reviews": []}},
                ],
                "needs_one_of": [["prices"]],
            },
            {
                "name": "catalog",
                "routes": [
                    {"path": "/api/items/1", "body": {"items": [1]}},
                    {"path": "/api/listprices/1", "body": {"price": 2}},
                ],
            },
            {"name": "prices", "routes": [{"path": "/api/prices/1", "body": {"price": 1}}]},
            {"name": "reviews", "routes": [{"path": "/api/reviews/1", "body": {"reviews": [5]}}]},
        ],
    }
)
"""Without prices the page asks the catalog for list prices, under a path that healthy traffic never uses."""

QUICK = LabSettings(rollout=0.1, fault_start=0.1, fault_stop=0.1, execute_wait=0.02, collect_every=0.05)


def plan_for(bench: Bench, **changes: Any) -> dict[str, Any]:
    addresses = bench.lab.addresses
    return {
        "name": bench.name,
        "system": {
            "namespace": SHOP.namespace,
            "proxy": addresses.proxy,
            "faults": addresses.faults,
            "services": addresses.services,
        },
        "request": {"url": f"{addresses.entry}/api/page", "timeout": "9s"},
        "services": [
            {"name": "catalog", "fault": "remove"},
            {"name": "prices", "fault": "error"},
            {"name": "reviews", "fault": "remove"},
        ],
        "load": {"requests": 2, "concurrency": 2},
        "slo": {"error_rate": "1%"},
    } | changes


@pytest.fixture
async def listing(temporal: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    async with (
        Lab(SHOP, settings=QUICK, ports=PortChoice.FREE) as lab,
        Bench(temporal, lab, tmp_path) as bench,
        running(temporal, bench.settings),
    ):
        yield bench


async def test_a_fallback_call_is_found_and_its_pair_fails(listing: Bench) -> None:
    """With rules alone, one fault at a time, as the README promises. The store shows the run as its query did."""
    handle = await listing.start(plan_for(listing))
    summary = await handle.result()
    await listing.lock_ended(handle)
    store = listing.store
    calls = {
        (fallback.case_index, fallback.service, fallback.path): fallback
        for fallback in await store.calls.all(summary.execution_id)
    }
    assert calls.keys() == {(2, "catalog", "/api/listprices/1")}
    results = {result.case_id: result for result in await store.results.all(summary.execution_id)}
    assert results["catalog+prices"].verdict is Verdict.FAILED
    assert results["catalog+prices"].outcome is CaseOutcome.MEASURED
    assert {name for name, result in results.items() if result.verdict is Verdict.FAILED} == {"catalog+prices"}
    assert {case.case_index for case in await store.calls.real_cases(summary.execution_id)} == {1, 2, 3}
    assert listing.lab.state().clean
    state, row = await listing.status(handle), await store.executions.latest_of(handle.id)
    assert state is not None
    assert row is not None
    lines = ["\n".join(shown_lines(view)) for view in (await stored_state(store, row), state)]
    assert lines[0] == lines[1]
    assert "  calls recorded while services are broken: off, and seen to be off; 1 fallback call found" in lines[0]
    report = await gather(store, summary.execution_id)
    assert report.fallback is not None
    (call,) = report.fallback.calls
    assert (call.under, call.decides, call.standing) == ("prices", "catalog+prices", CallStanding.RULED)


def shown_lines(state: ResilienceState) -> list[str]:
    """Return the panels' lines without times. Whichever component finishes a run writes when."""
    return [line for line in panel_lines(state) if not line.startswith("started ")]


JOINED = Topology.model_validate(
    {
        "namespace": "listing",
        "entry": "page",
        "services": [
            {
                "name": "page",
                "routes": [{"path": "/api/page", "body": {"page": 1}}],
                "calls": [
                    {
                        "service": "prices",
                        "path": "/api/prices/1",
                        "fallback_service": "backup",
                        "fallback_path": "/api/backup/1",
                    }
                ],
                "needs_one_of": [["prices"]],
            },
            {"name": "prices", "routes": [{"path": "/api/prices/1", "body": {"price": 1}}]},
            {"name": "backup", "routes": [{"path": "/api/backup/1", "body": {"price": 2}}]},
        ],
    }
)
"""Nobody calls the backup while all is well."""

PAIR = "backup+prices"


@pytest.fixture
async def joined(temporal: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    async with (
        Lab(JOINED, settings=QUICK, ports=PortChoice.FREE) as lab,
        Bench(temporal, lab, tmp_path) as bench,
        running(temporal, bench.settings),
    ):
        yield bench


def two_broken(bench: Bench, **changes: Any) -> dict[str, Any]:
    services = [{"name": "backup", "fault": "error"}, {"name": "prices", "fault": "error"}]
    return plan_for(bench, services=services, **changes)


async def outcomes(bench: Bench, execution_id: int) -> dict[str, tuple[CaseOutcome, Verdict | None]]:
    return {result.case_id: (result.outcome, result.verdict) for result in await bench.store.results.all(execution_id)}


@pytest.mark.exhaustive
async def test_a_service_called_only_on_failure_joins_and_its_cases_are_measured(joined: Bench) -> None:
    summary = await joined.run(two_broken(joined))
    found = await outcomes(joined, summary.execution_id)
    assert found["backup"] == (CaseOutcome.MEASURED, Verdict.PASSED)
    assert found["prices"] == (CaseOutcome.MEASURED, Verdict.PASSED)
    assert found[PAIR] == (CaseOutcome.MEASURED, Verdict.FAILED)
    assert joined.lab.state().clean


@pytest.mark.parametrize("endpoint", mostly_exhaustive([Endpoint.RECORDING_START, Endpoint.RECORDING_ENTRIES]))
async def test_a_pair_is_not_passed_when_its_calls_cannot_be_seen(listing: Bench, endpoint: Endpoint) -> None:
    """The proxy has forgotten its recordings, or starts none.

    The run then has no verdict, or its pairs have not passed.
    """
    listing.lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=endpoint, action=Action.REFUSE_500)]))
    plan = plan_for(listing, timeouts={"analyze": "12s"})
    handle = await listing.start(plan)
    try:
        summary = await handle.result()
    except WorkflowFailureError:
        summary = None
    await listing.lock_ended(handle)
    assert listing.lab.state().clean
    if summary is None:
        (row,) = await listing.store.executions.newest(1)
        assert row.verdict is None
        return
    pairs = [verdict for case, (_, verdict) in (await outcomes(listing, summary.execution_id)).items() if "+" in case]
    assert pairs
    assert Verdict.PASSED not in pairs
