"""Three real services and a call that healthy traffic never makes: a run as in the second half of the tutorial."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import yaml
from temporalio.client import Client

from cli.demo.lab_addresses import with_lab_addresses
from clients.store.read_models import CaseResult
from domain.calls.model import CallRound, FallbackCall, FoundBy
from domain.executions.execution import Recovery, Verdict
from domain.measuring.load import CaseOutcome
from domain.resilience.model import ResilienceSummary
from domain.traffic.exchange import CapturedAnswer
from lab import Lab, LabState, PortChoice
from tests.support.lab.pricelist import Pricelist
from tests.support.paths import ROOT
from tests.support.runs.bench import Bench
from tests.support.runs.fixtures import QUICK
from worker import running

CATALOG, PAIR, PRICES = 1, 3, 2
"""Case indices: the catalog, both services, and the prices."""


@dataclass(frozen=True)
class Seen:
    """What a run left in the store and in the lab."""

    summary: ResilienceSummary
    results: dict[str, CaseResult]
    calls: list[FallbackCall]
    rounds: list[CallRound]
    captured: list[CapturedAnswer]
    real: dict[int, list[int | None]]
    """Statuses with real faults, by case index."""
    lab: LabState


def plan_of(bench: Bench) -> dict[str, Any]:
    document: Any = with_lab_addresses(
        yaml.safe_load((ROOT / "examples" / "pricelist.yaml").read_text()), bench.lab.addresses
    )
    return document | {"name": bench.name}


async def seen(bench: Bench) -> Seen:
    summary = await bench.run(plan_of(bench))
    store, run = bench.store, summary.execution_id
    return Seen(
        summary=summary,
        results={result.case_id: result for result in await store.results.all(run)},
        calls=list(await store.calls.all(run)),
        rounds=list(await store.calls.rounds(run)),
        captured=list(await store.traffic.captured(run)),
        real={
            case.case_index: [answer.status for answer in case.answers] for case in await store.calls.real_cases(run)
        },
        lab=bench.lab.state(),
    )


class Runs(NamedTuple):
    """Three runs of one plan."""

    first: Seen
    mended: Seen
    """The page now does without any price."""
    mended_with_two: Seen
    """The same page, with a worker that allows two faults at once."""


@pytest.fixture(scope="module")
async def runs(temporal: Client, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runs]:
    folder = tmp_path_factory.mktemp("pricelist")
    async with (
        Pricelist(folder) as services,
        Lab(services.topology(), settings=QUICK, ports=PortChoice.FREE) as lab,
        Bench(temporal, lab, folder) as bench,
    ):
        async with running(temporal, bench.settings):
            await services.open(lab.addresses)
            first = await seen(bench)
            await services.end("page")
            await services.open_page(lab.addresses, "--price-on-request")
            mended = await seen(bench)
        async with running(temporal, bench.settings.model_copy(update={"max_active_faults": 2})):
            yield Runs(first, mended, await seen(bench))


@pytest.fixture(scope="module")
def run(runs: Runs) -> Seen:
    return runs.first


def test_the_pair_fails_and_nothing_else(run: Seen) -> None:
    assert {case: result.verdict for case, result in run.results.items()} == {
        "baseline": Verdict.PASSED,
        "catalog": Verdict.PASSED,
        "prices": Verdict.PASSED,
        "catalog+prices": Verdict.FAILED,
    }


def test_the_pair_is_measured_with_rules_while_one_fault_at_a_time_is_allowed(run: Seen) -> None:
    """Each of its requests got the page's error: the failure of the fallback call was captured, not guessed."""
    pair = run.results["catalog+prices"]
    assert (pair.outcome, pair.found_by) == (CaseOutcome.MEASURED, FoundBy.RULES)
    assert pair.measurement is not None
    assert pair.measurement.errors_by_kind == {"status 500": 5}


def test_the_fallback_call_is_named_with_the_failure_that_causes_it(run: Seen) -> None:
    (call,) = run.calls
    assert (call.case_index, call.service, call.method, call.path) == (PRICES, "catalog", "GET", "/listprices/1")
    assert (call.times, call.healthy_times, call.new, call.reason) == (1, 0, True, "")


def test_failures_of_the_fallback_call_and_the_healthy_call_are_captured(run: Seen) -> None:
    paths = sorted((answer.service, answer.path) for answer in run.captured)
    assert paths == [("catalog", "/items/1"), ("catalog", "/listprices/1"), ("prices", "/prices/1")]


def test_only_single_failures_were_tried_with_real_faults(run: Seen) -> None:
    assert run.real.keys() == {CATALOG, PRICES}
    assert {status for statuses in run.real.values() for status in statuses} == {200}


def test_discovery_ends_when_nothing_new_appears(run: Seen) -> None:
    assert [(call_round.round, call_round.complete) for call_round in run.rounds] == [(1, True), (2, True)]


def test_nothing_is_left_on(run: Seen) -> None:
    assert run.summary.recovery is Recovery.VERIFIED
    assert run.lab.clean


def test_a_mended_page_does_not_pass_before_both_services_were_really_broken(runs: Runs) -> None:
    """Its pair meets the SLO with rules.

    But nobody has seen what the page calls without prices and without list prices.
    """
    results = runs.mended.results
    pair = results.pop("catalog+prices")
    assert {result.verdict for result in results.values()} == {Verdict.PASSED}
    assert pair.verdict is Verdict.INCONCLUSIVE
    assert "GET /listprices/1 at catalog, called while prices is broken" in pair.reason
    assert "HOLDFAST_MAX_ACTIVE_FAULTS=2" in pair.reason


def test_a_mended_page_passes_where_two_faults_are_allowed(runs: Runs) -> None:
    seen = runs.mended_with_two
    assert {result.verdict for result in seen.results.values()} == {Verdict.PASSED}
    assert seen.summary.verdict is Verdict.PASSED
    assert set(seen.real[PAIR]) == {200}
    assert seen.lab.clean


def test_the_fallback_call_of_a_mended_page_is_still_listed(runs: Runs) -> None:
    for mended in (runs.mended, runs.mended_with_two):
        assert [(call.case_index, call.service, call.path) for call in mended.calls] == [
            (PRICES, "catalog", "/listprices/1")
        ]
