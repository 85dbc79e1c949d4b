"""Judging beside the evidence of real faults, and choosing pairs where that evidence is missing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from activities.run.evidence import evidence_of
from activities.run.executions import ExecutionActivities
from activities.run.judging import JudgingActivities
from activities.stages.pairs import PairActivities
from clients.store.read_models import CaseResult, CheckedPair
from domain.calls.model import CallRound, FallbackCall, FoundBy, RealAnswer, RealCase
from domain.cases.cases import case_at, case_count, pair_case
from domain.cases.real_verdicts import ALLOW_TWO
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome
from domain.measuring.metrics import JudgedCases
from domain.pairs.fidelity import PairFinding, PairOutcome
from domain.pairs.model import PairsOrder
from domain.traffic.exchange import Measurement
from reports.build.reading import read_run
from tests.support.activities.stage import Stage
from tests.support.store.samples import answer, measurement

PASSED, FAILED, INCONCLUSIVE = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE
BODY = '{"a":1}'
FINE: dict[str, Any] = {"error_rate": 0, "success_p95_us": 4_000, "response_code": 200, "response_body": BODY}
WITHOUT = '{"a":null}'
"""A page without a service that it can do without."""
BAD: dict[str, Any] = {"error_rate": 100, "success_p95_us": None, "response_code": 500, "response_body": "no"}


class Judged:
    """A run whose cases are measured. Each passes by its rules unless a test changes that."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.run, self.store = stage, stage.execution.execution_id, stage.tools.store
        self.services = stage.plan.service_names
        self.cases = range(case_count(len(self.services)))

    def index(self, *names: str) -> int:
        places = [self.services.index(name) for name in names]
        return 1 + places[0] if len(places) == 1 else pair_case(len(self.services), places[0], places[1])

    async def measured(self, **failing: dict[str, Any]) -> None:
        """Store a measurement of every case.

        `failing` holds the measurements of cases that do not pass, by id with `_` for `+`.
        """
        records = ExecutionActivities(self.stage.tools, self.stage.execution.timing)
        await self.stage.do(records.generate_cases, self.stage.ref)
        results = []
        for index in self.cases:
            case_id = case_at(self.services, index).case_id
            facts = failing.get(case_id.replace("+", "_"), FINE)
            results.append(CaseResult(case_index=index, outcome=CaseOutcome.MEASURED, measurement=measurement(**facts)))
        await self.store.results.save_group(self.run, results, [])

    async def read(self, complete: bool = True) -> None:
        await self.store.calls.save_round(self.run, CallRound(round=1, complete=complete, detail="it was gone"))

    async def called(self, service: str, path: str, *broken: str, ruled: bool = False) -> None:
        index = self.index(*broken) if broken else 0
        call = FallbackCall(service=service, method="GET", path=path, case_index=index, times=1, new=True, round=1)
        await self.store.calls.save(self.run, [call])
        if ruled:
            await self.store.traffic.save_captured(self.run, "remove", [answer(service, path=path, substituted=False)])

    async def really(self, *broken: str, status: int = 200, body: str = BODY, **facts: Any) -> None:
        answers = [RealAnswer(status=status, body=body)]
        found = measurement(**(FINE | facts))
        await self.store.calls.save_real_case(
            self.run, RealCase(case_index=self.index(*broken), answers=answers, measurement=found)
        )

    async def checked(self, *broken: str, differs: Sequence[str], found: Measurement | None) -> None:
        outcome = PairOutcome.UNCHECKED if found is None else PairOutcome.DISAGREED if differs else PairOutcome.AGREED
        finding = PairFinding(case_id="+".join(broken), outcome=outcome, differs=list(differs))
        pair = CheckedPair(case_index=self.index(*broken), finding=finding, measurement=found)
        await self.store.pairs.save(self.run, pair)

    async def judge(self) -> JudgedCases:
        return await self.stage.do(JudgingActivities(self.stage.tools).judge, self.stage.ref)

    async def result(self, *names: str) -> CaseResult:
        index = self.index(*names)
        (found,) = await self.store.results.between(self.run, index, index + 1)
        return found

    def allow(self, faults: int) -> None:
        tools = self.stage.tools
        tools.rails = tools.rails.model_copy(update={"max_active_faults": faults})

    async def choose(self, share: float | None = None) -> list[str]:
        wish = PairsOrder(execution_id=self.run, share=share)
        chosen = await self.stage.do(PairActivities(self.stage.tools).choose, wish)
        assert chosen.measured == 10
        assert chosen.cases == sorted(chosen.cases)
        return [case_at(self.services, index).case_id for index in chosen.cases]


@pytest.fixture
def judged(stage: Stage) -> Judged:
    return Judged(stage)


async def test_a_pair_with_a_call_that_no_rule_answers_is_invalid(judged: Judged) -> None:
    """The run does not pass either. The numbers stay, and judging again finds the same."""
    await judged.measured()
    await judged.read()
    await judged.called("bestsellers", "/list/1", "reviews")
    for _ in range(2):
        found = await judged.judge()
        assert found.verdict is INCONCLUSIVE
        assert (found.cases.measured, found.cases.passed, found.cases.invalid) == (15, 15, 1)
        case = await judged.result("bestsellers", "reviews")
        assert (case.outcome, case.verdict, case.found_by) == (CaseOutcome.INVALID, None, None)
        assert case.reason == "no rule answers GET /list/1 at bestsellers, called while reviews is broken"
        assert case.measurement is not None
    alone = await judged.result("reviews")
    assert (alone.outcome, alone.verdict, alone.found_by) == (CaseOutcome.MEASURED, PASSED, FoundBy.RULES)


async def test_a_pair_that_only_real_faults_break_fails(judged: Judged) -> None:
    await judged.measured()
    await judged.read()
    await judged.called("bestsellers", "/list/1", "reviews", ruled=True)
    await judged.really("bestsellers", "reviews", status=500, body="no", **BAD)
    found = await judged.judge()
    assert (found.verdict, found.cases.failed, found.cases.passed) == (FAILED, 1, 15)
    (failed,) = found.failed_cases
    assert failed.case_id == "bestsellers+reviews"
    case = await judged.result("bestsellers", "reviews")
    assert (case.verdict, case.found_by, case.reason) == (FAILED, FoundBy.REAL_FAULTS, failed.reason)
    assert case.reason.startswith("error rate 100% > 1%; p95 not measurable: no request succeeded")
    assert "found with real faults: status 200 with rules, 500 with faults" in case.reason
    (line,) = [entry.message for entry in await judged.store.logs.of(judged.run) if "verdict" in entry.message]
    assert line.endswith("; 1 by real faults")


async def test_a_pair_that_only_rules_break_passes(judged: Judged) -> None:
    await judged.measured(bestsellers_reviews=BAD)
    await judged.read()
    await judged.really("bestsellers", "reviews", body=WITHOUT, response_body=WITHOUT)
    found = await judged.judge()
    assert (found.verdict, found.cases.passed) == (PASSED, 16)
    case = await judged.result("bestsellers", "reviews")
    assert (case.verdict, case.found_by) == (PASSED, FoundBy.REAL_FAULTS)
    assert case.reason.startswith("found with real faults: status 500 with rules, 200 with faults")


@pytest.mark.parametrize(
    ("rules", "real", "why"),
    [
        (BAD, {}, "but their answers are those of a healthy system"),
        (
            BAD | {"error_rate": 40},
            {"body": WITHOUT, "response_body": WITHOUT, "requests": 4},
            "but with too few requests",
        ),
    ],
    ids=["healed", "lucky"],
)
async def test_weak_real_answers_do_not_disprove_a_failure(
    judged: Judged, rules: dict[str, Any], real: dict[str, Any], why: str
) -> None:
    await judged.measured(reviews=rules)
    await judged.read()
    await judged.really("reviews", **real)
    assert (await judged.judge()).verdict is INCONCLUSIVE
    case = await judged.result("reviews")
    assert case.verdict is INCONCLUSIVE
    assert case.reason.endswith(f"; real faults do not confirm this, {why}")


async def test_a_case_that_fails_intermittently_with_real_faults_does_not_pass(judged: Judged) -> None:
    """One answer agrees with the rules, and 95 % of the requests fail."""
    await judged.measured()
    await judged.read()
    await judged.really("reviews", error_rate=95)
    found = await judged.judge()
    assert (found.verdict, found.cases.inconclusive) == (INCONCLUSIVE, 1)
    assert "some requests fail with real faults" in (await judged.result("reviews")).reason


async def test_slow_real_faults_do_not_change_the_verdict(judged: Judged) -> None:
    await judged.measured()
    await judged.read()
    await judged.really("reviews", success_p95_us=5_000_000)
    assert (await judged.judge()).verdict is PASSED
    assert (await judged.result("reviews")).found_by is FoundBy.RULES


async def test_pairs_of_a_service_that_disagrees_with_its_rule_pass_only_with_real_faults(judged: Judged) -> None:
    """The single failure itself has its real verdict."""
    await judged.measured(reviews_shipping=BAD)
    await judged.read()
    await judged.really("reviews", status=200, body='{"a":2}')
    await judged.really("inventory", "reviews")
    found = await judged.judge()
    assert (found.cases.failed, found.cases.inconclusive, found.cases.passed) == (1, 2, 13)
    assert {unsure.case_id for unsure in found.inconclusive_cases} == {"bestsellers+reviews", "recommendations+reviews"}
    case = await judged.result("bestsellers", "reviews")
    assert "reviews, really broken alone, changes the answer differently" in case.reason
    assert case.reason.endswith(f"; {ALLOW_TWO}")
    assert (await judged.result("inventory", "reviews")).verdict is PASSED
    assert (await judged.result("reviews", "shipping")).verdict is FAILED
    judged.allow(2)
    await judged.judge()
    assert ALLOW_TWO not in (await judged.result("bestsellers", "reviews")).reason


async def test_no_case_passes_when_its_calls_could_not_be_read(judged: Judged) -> None:
    await judged.measured()
    await judged.read(complete=False)
    found = await judged.judge()
    assert (found.verdict, found.cases.inconclusive, found.cases.passed) == (INCONCLUSIVE, 15, 1)
    assert "could not be read: it was gone" in (await judged.result("bestsellers", "reviews")).reason


@pytest.mark.parametrize(
    "damage", ["fallback_call SET times = 'x'", "real_case SET answers = '{'", "call_round SET unread = '{'"]
)
async def test_a_damaged_row_lets_no_case_pass(judged: Judged, tmp_path: Path, damage: str) -> None:
    """It may be the call that no rule answers, or the case that really failed."""
    await judged.measured()
    await judged.read()
    await judged.called("bestsellers", "/list/1", "reviews")
    await judged.really("shipping", status=500, body="no", **BAD)
    with closing(sqlite3.connect(tmp_path / "holdfast.db")) as database:
        database.execute(f"UPDATE {damage}")
        database.commit()
    assert (await judged.judge()).cases.passed == 1


async def test_a_verified_pair_that_really_fails_makes_its_case_fail(judged: Judged) -> None:
    """This holds if status or body disagree. If only the verdict differs, it is a matter of latency."""
    await judged.measured()
    await judged.read()
    differs = ["status 200 with rules, 500 with faults", "verdict passed with rules, failed (x) with faults"]
    await judged.checked("bestsellers", "reviews", differs=differs, found=measurement(**BAD))
    slow = measurement(**(FINE | {"success_p95_us": 5_000_000}))
    await judged.checked("bestsellers", "shipping", differs=differs[1:], found=slow)
    found = await judged.judge()
    assert [failed.case_id for failed in found.failed_cases] == ["bestsellers+reviews"]
    case = await judged.result("bestsellers", "reviews")
    assert (case.verdict, case.found_by) == (FAILED, FoundBy.REAL_FAULTS)
    assert case.reason.endswith("; found with real faults: status 200 with rules, 500 with faults")


async def test_a_verified_pair_is_not_in_doubt_and_an_unchecked_pair_is(judged: Judged) -> None:
    await judged.measured()
    await judged.read()
    await judged.called("bestsellers", "/list/1", "reviews", ruled=True)
    await judged.called("inventory", "/list/1", "reviews")
    await judged.checked("bestsellers", "reviews", differs=[], found=measurement(**FINE))
    await judged.checked("inventory", "reviews", differs=[], found=None)
    await judged.judge()
    assert (await judged.result("bestsellers", "reviews")).verdict is PASSED
    assert (await judged.result("inventory", "reviews")).outcome is CaseOutcome.INVALID


async def test_cases_with_real_answers_are_not_in_doubt(judged: Judged) -> None:
    """Whether discovery asked for the answers or they were verified later, and whatever the rules showed."""
    await judged.read(complete=False)
    await judged.measured()
    await judged.really("bestsellers", "reviews")
    await judged.checked("inventory", "reviews", differs=[], found=measurement(**FINE))
    pairs = await judged.store.pairs.of(judged.run)
    evidence = await evidence_of(judged.store, judged.run, judged.stage.plan, {}, pairs)
    assert evidence is not None
    in_doubt = evidence.doubts.among(judged.cases)
    assert len(in_doubt) == 13
    assert not {judged.index("bestsellers", "reviews"), judged.index("inventory", "reviews")} & in_doubt.keys()


async def test_a_run_without_discovery_is_judged_by_its_rules_alone(judged: Judged) -> None:
    """The same holds for runs recorded before discovery existed."""
    await judged.measured()
    await judged.called("bestsellers", "/list/1", "reviews")
    await judged.really("reviews", status=500, body="no", **BAD)
    await judged.checked("bestsellers", "reviews", differs=["status 200"], found=measurement(**BAD))
    found = await judged.judge()
    assert (found.verdict, found.cases.passed) == (PASSED, 16)
    assert {result.found_by for result in await judged.store.results.all(judged.run)} == {None}


async def test_pairs_in_doubt_are_chosen_where_two_faults_are_allowed(judged: Judged) -> None:
    """They need not be requested. With a share they come in addition, and checking them does not change the choice."""
    await judged.measured()
    await judged.read()
    await judged.called("bestsellers", "/list/1", "reviews", ruled=True)
    await judged.called("inventory", "/list/1", "shipping")
    judged.allow(1)
    assert await judged.choose() == []
    assert await judged.choose(100) == []
    judged.allow(2)
    assert await judged.choose() == ["bestsellers+reviews", "inventory+shipping"]
    assert await judged.choose(1) == ["bestsellers+inventory", "bestsellers+reviews", "inventory+shipping"]
    assert len(await judged.choose(100)) == 10
    await judged.checked("bestsellers", "reviews", differs=[], found=measurement(**FINE))
    assert await judged.choose() == ["bestsellers+reviews", "inventory+shipping"]


async def test_pairs_of_services_that_a_rule_misrepresents_are_chosen(judged: Judged) -> None:
    """Pairs of a single failure that disagrees, and one pair of each service whose status is a substitute."""
    await judged.measured()
    await judged.read()
    judged.allow(2)
    assert await judged.choose() == []
    await judged.store.traffic.save_captured(judged.run, "remove", [answer("reviews", substituted=True)])
    assert await judged.choose() == ["bestsellers+reviews"]
    await judged.really("shipping", status=500, body="no", **BAD)
    await judged.really("inventory", "shipping", status=500, body="no", **BAD)
    assert await judged.choose() == [
        "bestsellers+shipping",
        "recommendations+shipping",
        "reviews+shipping",
    ]


async def test_a_run_without_discovery_verifies_only_the_requested_pairs(judged: Judged) -> None:
    await judged.measured()
    await judged.store.traffic.save_captured(judged.run, "remove", [answer("reviews", substituted=True)])
    judged.allow(2)
    assert await judged.choose() == []
    assert len(await judged.choose(50)) == 5


async def test_judging_returns_the_stored_load_panel_when_a_case_became_invalid(judged: Judged) -> None:
    """Otherwise no panel is sent again."""
    await judged.measured(reviews_shipping=BAD)
    await judged.read()
    assert (await judged.judge()).load is None
    await judged.called("shipping", "/list/1", "reviews")
    found = (await judged.judge()).load
    assert found is not None
    assert found.mean_error_rate == 0
    row = await judged.store.executions.row(judged.run)
    stored = await read_run(judged.store, row, most_cases=100, worst_of_more=False)
    assert found == stored.results.metrics
