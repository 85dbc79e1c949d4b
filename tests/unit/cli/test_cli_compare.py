"""`holdfast compare`: its report on two stored runs and its exit codes, through the real command line."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.main import cli
from clients.load.histograms import Histogram
from clients.store.packing import packed
from clients.store.read_models import Arm, CaseResult, StoredCase, StoredSamples
from clients.store.store import Store
from domain.calls.model import FoundBy
from domain.cases.cases import case_count, cases_in
from domain.cases.real_verdicts import Settled
from domain.executions.execution import Ending, FinalStep, Recovery, RunStatus, Verdict
from domain.measuring.load import CaseOutcome, CaseRange
from domain.measuring.percentiles import measured
from domain.measuring.samples import Taken
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.kind import KIND
from domain.resilience.model import NewExecution
from domain.timing import Timing
from domain.traffic.exchange import RequestSample
from tests.support.cli.stored import invoke
from tests.support.cli.terminal import PATIENCE, clean_environment, plan_document
from tests.support.paths import ROOT

REQUESTS = 200
USUAL_US = 30_000
GONE = 1.0
"""Share of requests that fail while a required service is gone."""

Takes = Callable[[random.Random, int], RequestSample]


def usual(rng: random.Random, _: int) -> RequestSample:
    return RequestSample(latency_us=int(USUAL_US * rng.lognormvariate(0, 0.1)), status=200)


def slower(by: float) -> Takes:
    def take(rng: random.Random, position: int) -> RequestSample:
        sample = usual(rng, position)
        return sample.model_copy(update={"latency_us": int(by * sample.latency_us)})

    return take


def failing(share: float) -> Takes:
    def take(rng: random.Random, position: int) -> RequestSample:
        return usual(rng, position).model_copy(update={"status": 503 if rng.random() < share else 200})

    return take


def slow_together(rng: random.Random, position: int) -> RequestSample:
    return slower(3 if position // 10 % 2 else 1)(rng, position)


class Runs:
    """Writes runs into a store as workers do: cases, results, samples and an end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._made = 0

    async def add(
        self,
        changed: dict[str, Takes | str] | None = None,
        *,
        requests: int = REQUESTS,
        verdicts: dict[str, Verdict] | None = None,
        ended: bool = True,
        raw: bool = True,
        samples: bool = True,
        settled: dict[str, Settled] | None = None,
        **plan: Any,
    ) -> str:
        """Add a run and return its id. `changed` maps a case to how its requests go, or to why it was not measured."""
        self._made += 1
        self._raw, self._rng = raw, random.Random(self._made)  # noqa: S311 - samples, no secret
        document = plan_document("shop", **{"load": {"requests": requests, "concurrency": 4}} | plan)
        subject = Plan.model_validate(document)
        new = NewExecution(
            plan_json=canonical_json(subject), workflow_id=KIND.workflow_id("shop"), run_id=str(self._made)
        )
        run = (await self._store.executions.create(new, subject, Timing())).execution_id
        cases = list(cases_in(subject.service_names, CaseRange(first=0, end=case_count(len(subject.services)))))
        await self._store.cases.save(run, [StoredCase(**entry.model_dump(), faults_json="[]") for entry in cases])
        done = [
            self._done(case.index, case.case_id, (changed or {}).get(case.case_id, usual), requests) for case in cases
        ]
        stored = [found for _, found in done if found and samples]
        await self._store.results.save_group(run, [result for result, _ in done], stored)
        measured_cases = [case for case, (_, found) in zip(cases, done, strict=True) if found]
        judged = {entry.index: ((verdicts or {}).get(entry.case_id, Verdict.PASSED), "") for entry in measured_cases}
        await self._store.results.save_verdicts(run, judged)
        if settled:
            places = {entry.case_id: entry.index for entry in cases}
            await self._store.results.settle(run, {places[name]: decision for name, decision in settled.items()})
        if ended:
            end = Ending(execution_id=run, status=RunStatus.COMPLETED, phase=FinalStep.DONE, recovery=Recovery.VERIFIED)
            await self._store.executions.finish(end)
        return str(run)

    def _done(
        self, index: int, case_id: str, takes: Takes | str, requests: int
    ) -> tuple[CaseResult, StoredSamples | None]:
        if isinstance(takes, str):
            return CaseResult(case_index=index, outcome=CaseOutcome.SKIPPED, reason=takes), None
        taken = Taken([[takes(self._rng, position) for position in range(requests)]])
        found = measured(taken, duration_us=1, last_status=200, last_body="")
        result = CaseResult(case_index=index, case_id=case_id, outcome=CaseOutcome.MEASURED, measurement=found)
        histogram = Histogram(latency for block in taken.success_blocks for latency in block).encode()
        pairs = packed(taken.pairs()) if self._raw else None
        return result, StoredSamples(case_index=index, arm=Arm.CASE, histogram=histogram, raw=pairs)


@pytest.fixture
def runs(store: Store) -> Runs:
    return Runs(store)


async def compared(*arguments: str) -> dict[str, Any]:
    """Run the command with --json and return its document, after checking the exit code in it."""
    result = await invoke("compare", *arguments, "--json")
    facts: dict[str, Any] = json.loads(result.stdout)
    assert facts["exit_code"] == result.exit_code, result.output
    return facts


def changes(facts: dict[str, Any], *wanted: str) -> dict[str, str]:
    return {case["case_id"]: case["change"] for case in facts["cases"] if case["change"] in wanted}


async def shown(*arguments: str) -> tuple[int, str]:
    """Run the command in this process, and return its exit code and what it prints for people."""
    result = await invoke("compare", *arguments)
    return result.exit_code, result.output


async def by_process(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run the command as a pipeline does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "starter.py"), "compare", *arguments),
        cwd=folder,
        env=clean_environment() | {"HOLDFAST_DATABASE_URL": os.environ["HOLDFAST_DATABASE_URL"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE * 4):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_code_0_if_no_case_is_worse(runs: Runs) -> None:
    """Other samples of the same system: every case is surely the same."""
    code, output = await shown(await runs.add(), await runs.add())
    assert code == 0, output
    assert "16 cases: 16 the same" in output
    assert "no regression: no case is worse" in output


async def test_code_1_if_a_case_is_worse(runs: Runs, tmp_path: Path) -> None:
    """A case that is slower by half is named with its confidence interval, and no other case is."""
    code, output = await by_process(tmp_path, await runs.add(), await runs.add({"reviews": slower(1.5)}))
    assert code == 1, output
    assert "REGRESSION: 1 of 16 cases are worse" in output
    (row,) = [line for line in output.splitlines() if line.startswith("reviews ")]
    assert "WORSE" in row
    assert "times what it was (1." in row
    assert " allowed" in row


async def test_code_6_if_the_comparison_is_undecided(runs: Runs) -> None:
    """There are too few requests for the percentile. The output shows that, and how many would do."""
    code, output = await shown(await runs.add(requests=12), await runs.add(requests=12))
    assert code == 6, output
    assert "UNDECIDED: no case is surely worse, 16 may be" in output
    assert "p95 needs 59 successful requests, has 12" in output
    assert "about 47 more requests per case" in output


async def test_requests_that_are_slow_together_leave_a_case_uncertain(runs: Runs) -> None:
    """There are as many as the percentile needs, so the reason must not be that they are too few for it."""
    facts = await compared(
        await runs.add({"reviews": slow_together}, requests=60), await runs.add({"reviews": slow_together}, requests=60)
    )
    (case,) = [entry for entry in facts["cases"] if entry["case_id"] == "reviews"]
    assert case["change"] == "uncertain"
    assert "p95 needs more requests than 60, about " in case["why"]
    assert "slow together" in case["why"]


async def test_code_2_if_the_runs_cannot_be_compared(runs: Runs) -> None:
    """Every reason is reported."""
    different = await runs.add(load={"requests": REQUESTS, "concurrency": 5}, steady_state={"check": False})
    code, output = await shown(await runs.add(), different)
    assert code == 2, output
    assert "different loads: load.concurrency 4, then 5" in output
    assert "16 cases" not in output


async def test_unsuitable_runs_and_options_are_refused(runs: Runs) -> None:
    """A run with itself, a run under way, an unknown run. As JSON, the refusal has a code of its own."""
    done, going_on = await runs.add(), await runs.add(ended=False)
    for pair, words in {(done, done): "both are execution", (done, going_on): "has not ended yet"}.items():
        facts = await compared(*pair)
        assert (facts["error_code"], facts["exit_code"]) == ("NOT_COMPARABLE", 2)
        assert words in facts["message"]
    assert (await compared(done, "nobody"))["exit_code"] == 3
    assert (await invoke("compare", done)).exit_code == 2
    assert (await invoke("compare", done, going_on, "--percentile", "p96")).exit_code == 2
    for wrong in (("--errors", "0%"), ("--errors", "5"), ("--confidence", "50%"), ("--at-least", "5")):
        assert (await invoke("compare", done, going_on, *wrong)).exit_code == 2, wrong


async def test_a_case_that_fails_now_is_worse_even_with_few_requests(runs: Runs) -> None:
    """Twelve failures after twelve successes are enough. Nothing has changed for a case that always failed."""
    down = failing(GONE)
    before = await runs.add({"bestsellers+recommendations": down})
    after = await runs.add({"bestsellers+recommendations": down, "shipping": down})
    facts = await compared(before, after)
    assert changes(facts, "worse", "uncertain", "better") == {"shipping": "worse"}
    assert facts["cases"][0]["why"].startswith("errors 0%, then 100%, surely up by ")
    few = await compared(await runs.add(requests=12), await runs.add({"shipping": down}, requests=12))
    assert (few["exit_code"], changes(few, "worse")) == (1, {"shipping": "worse"})


async def test_a_repaired_case_is_better_and_no_regression(runs: Runs) -> None:
    """For errors and for latency. The other way round it is worse."""
    ill = await runs.add({"reviews": failing(GONE), "shipping": slower(2)})
    well = await runs.add()
    facts = await compared(ill, well)
    assert facts["exit_code"] == 0
    assert changes(facts, "better", "worse", "uncertain") == {"reviews": "better", "shipping": "better"}
    turned = await compared(well, ill)
    assert changes(turned, "worse") == {"reviews": "worse", "shipping": "worse"}
    assert any("the first run is the later one" in remark for remark in turned["remarks"])


async def test_a_case_that_misses_its_limits_now_is_never_the_same(runs: Runs) -> None:
    """Within the margins it is uncertain.

    A sure rise counts then, however small. With other limits, neither applies.
    """
    missed = {"reviews": Verdict.FAILED}
    before = await runs.add()
    chance = await compared(before, await runs.add(verdicts=missed))
    assert (chance["exit_code"], changes(chance, "uncertain")) == (6, {"reviews": "uncertain"})
    little = {"reviews": slower(1.09)}
    sure = await compared(before, await runs.add(little, verdicts=missed), "--at-least", "1ms")
    assert (sure["exit_code"], changes(sure, "worse")) == (1, {"reviews": "worse"})
    unflipped = await compared(before, await runs.add(little), "--slower", "20%")
    assert unflipped["exit_code"] == 0
    stricter = await compared(before, await runs.add(verdicts=missed, slo={"p95": "20ms"}))
    assert stricter["exit_code"] == 0
    assert any("limits (slo) differ" in remark for remark in stricter["remarks"])


async def test_an_unmeasured_case_is_never_the_same(runs: Runs) -> None:
    """Measured in only one run, in neither, for the first time, or left out on purpose."""
    before = await runs.add({"shipping": "no captured failure", "reviews": "no captured failure"})
    after = await runs.add(
        {"shipping": "no captured failure", "inventory": "no traffic", "bestsellers": "excluded by the plan: known"}
    )
    facts = await compared(before, after)
    assert facts["exit_code"] == 6
    assert changes(facts, "uncertain", "new", "excluded", "unmeasured") == {
        "inventory": "uncertain",
        "reviews": "new",
        "bestsellers": "excluded",
        "shipping": "unmeasured",
    }
    (lost,) = [entry for entry in facts["cases"] if entry["case_id"] == "inventory"]
    assert lost["why"] == "no longer measured: no traffic"
    none = {entry["case_id"]: "no captured failure" for entry in facts["cases"]}
    assert facts["counts"]["same"] == 12
    assert (await compared(await runs.add(none), await runs.add(none)))["exit_code"] == 6


async def test_runs_with_nothing_but_histograms_are_compared_too(runs: Runs) -> None:
    """Without any samples the comparison is undecided."""
    same = await compared(await runs.add(raw=False), await runs.add(raw=False))
    assert same["exit_code"] == 0
    worse = await compared(await runs.add(raw=False), await runs.add({"reviews": slower(1.5)}, raw=False))
    assert changes(worse, "worse") == {"reviews": "worse"}
    nothing = await compared(await runs.add(), await runs.add(samples=False))
    assert nothing["exit_code"] == 6
    assert nothing["cases"][0]["why"] == "its samples are not stored"


async def test_margins_come_from_the_plan_unless_options_override_them(runs: Runs) -> None:
    """From `slo.regression` of the later run, then from the options."""
    slo = {"p95": "550ms", "regression": {"percentile": "p50", "margin": "30%", "at_least": "1ms"}}
    ids = [await runs.add(slo=slo), await runs.add({"reviews": slower(1.2)}, slo=slo)]
    planned = await compared(*ids)
    assert planned["exit_code"] == 0
    assert (planned["margins"]["percentile"], planned["margins"]["slower"]) == ("p50", 30)
    wanted = await compared(*ids, "--slower", "5%", "--at-least", "0ms", "--percentile", "p95", "--errors", "7%")
    assert wanted["exit_code"] == 1
    assert wanted["margins"] == {
        "percentile": "p95", "slower": 5, "at_least_ms": 0, "errors": 7, "confidence": 95, "false_alarms": 5,
    }  # fmt: skip


async def test_the_same_runs_give_the_same_answer(runs: Runs) -> None:
    """A gate must not open because it is asked again."""
    ids = await runs.add(), await runs.add({"reviews": slower(1.1)})
    assert await compared(*ids) == await compared(*ids)


async def test_cases_are_read_in_chunks(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """No case is lost between two chunks."""
    ids = await runs.add(), await runs.add({"shipping": slower(1.5)})
    whole = await compared(*ids)
    monkeypatch.setattr("reports.compare.compare.CHUNK", 3)
    assert await compared(*ids) == whole
    assert sorted(entry["index"] for entry in whole["cases"]) == list(range(16))


def test_a_comparison_without_a_database_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with every command that reads it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATABASE_URL", raising=False)
    assert CliRunner().invoke(cli, ["compare", "1", "2"]).exit_code == 3


async def test_a_failure_found_by_real_faults_is_not_taken_for_chance(runs: Runs) -> None:
    """The samples come from rules, and are equal. A case that became invalid shows why."""
    failed = Settled(CaseOutcome.MEASURED, Verdict.FAILED, "error rate 100% > 1%", FoundBy.REAL_FAULTS)
    invalid = Settled(CaseOutcome.INVALID, None, "no rule answers GET /list/1 at reviews", None)
    before = await runs.add()
    after = await runs.add(settled={"reviews+shipping": failed, "reviews": invalid})
    facts = await compared(before, after)
    whys = {entry["case_id"]: entry["why"] for entry in facts["cases"] if entry["change"] == "uncertain"}
    assert whys == {
        "reviews+shipping": "passed, then failed, by real faults (error rate 100% > 1%)",
        "reviews": "no longer measured: no rule answers GET /list/1 at reviews",
    }
    assert changes(await compared(after, await runs.add(settled={"reviews+shipping": failed})), "worse") == {}
