"""Real services behind the lab, one of them not ours: a run finds the pair that fails, or reports why it cannot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from temporalio.client import Client

from domain.executions.execution import Recovery, Verdict
from lab import Lab, PortChoice
from lab.generated.plan_for import plan_for
from tests.support.lab.bookshop import Bookshop
from tests.support.runs.bench import Bench
from tests.support.runs.fixtures import QUICK
from tests.support.tiers import mostly_exhaustive
from worker import running


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Bookshop]:
    async with Bookshop(tmp_path) as bookshop:
        yield bookshop


@asynccontextmanager
async def ready(temporal: Client, shop: Bookshop, folder: Path, **how: Any) -> AsyncIterator[tuple[Bench, Any]]:
    """Put a lab before the bookshop, with a worker and a plan.

    The plan is as `holdfast lab --plan` writes it.
    """
    topology = shop.topology()
    async with Lab(topology, settings=QUICK, ports=PortChoice.FREE) as lab:
        await shop.open(lab.addresses, **how)
        bench = Bench(temporal, lab, folder)
        plan = plan_for(topology, lab.addresses) | {"name": bench.name}
        plan["slo"] = {"error_rate": "1%"}
        async with running(temporal, bench.settings), bench:
            yield bench, plan


async def test_a_run_on_real_services_finds_the_pair_that_fails(
    temporal: Client, shop: Bookshop, tmp_path: Path
) -> None:
    """The page survives without its books, and without its picks, but not without both. The services stay untouched.

    Without picks it asks the books for a substitute. If no rule answered that call, it would show the substitute even
    without both.
    """
    async with ready(temporal, shop, tmp_path) as (bench, plan):
        summary = await bench.run(plan)
        results = await bench.store.results.all(summary.execution_id)
        calls = await bench.store.calls.all(summary.execution_id)
        assert bench.lab.state().clean
        async with aiohttp.ClientSession() as session, session.get(bench.lab.addresses.entry + "/page") as response:
            page = await response.json()
    assert {result.case_id: result.verdict for result in results} == {
        "baseline": Verdict.PASSED,
        "books": Verdict.PASSED,
        "picks": Verdict.PASSED,
        "books+picks": Verdict.FAILED,
    }
    assert [(call.case_index, call.service, call.path) for call in calls] == [(2, "books", "/books/books/1.json")]
    assert summary.recovery is Recovery.VERIFIED
    assert page["pick"] == {"title": "Invisible Cities"}
    assert len(page["books"]) == 4


@pytest.mark.exhaustive
async def test_services_that_call_around_the_lab_are_skipped_and_not_passed(
    temporal: Client, shop: Bookshop, tmp_path: Path
) -> None:
    """They call each other by their own addresses, so nothing of them is recorded and none is reported as healthy."""
    async with ready(temporal, shop, tmp_path, around_the_lab=True) as (bench, plan):
        summary = await bench.run(plan)
        results = {result.case_id: result for result in await bench.store.results.all(summary.execution_id)}
    assert results["baseline"].verdict is Verdict.PASSED
    for case in ("books", "picks", "books+picks"):
        assert (results[case].outcome, results[case].verdict) == ("skipped", None)
        assert "was recorded: the request does not reach it" in results[case].reason
    assert summary.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("forgetful", "lost"),
    mostly_exhaustive([("picks", {"books", "books+picks"}), ("page", {"books", "picks", "books+picks"})]),
)
async def test_services_behind_a_forgetful_service_are_invalid_and_not_passed(
    temporal: Client, shop: Bookshop, tmp_path: Path, forgetful: str, lost: set[str]
) -> None:
    """It does not forward baggage. Its neighbours are broken once, but their failures cannot be selected by request.

    Recordings do not show which request caused a call either. If all calls lack the header, nobody waits for a call
    that has it.
    """
    async with ready(temporal, shop, tmp_path, forgetful=forgetful) as (bench, plan):
        summary = await bench.run(plan)
        results = {row.case_id: row for row in await bench.store.results.all(summary.execution_id)}
        rounds = await bench.store.calls.rounds(summary.execution_id)
    assert {call_round.complete for call_round in rounds} == {forgetful != "page"}
    assert {case for case, result in results.items() if result.outcome == "invalid"} == lost
    assert all("baggage lost" in results[case].reason for case in lost)
    assert summary.verdict is Verdict.INCONCLUSIVE
