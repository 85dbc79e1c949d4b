"""Groups of cases: what is sent for them, in which order, and what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from activities.load.batches import LoadActivities
from activities.run.executions import ExecutionActivities
from activities.run.judging import JudgingActivities
from clients.http.requests import PreparedRequest
from clients.load.engine import LoadGenerator
from clients.load.histograms import Histogram
from clients.load.pace import Open
from clients.load.warming import WarmUp
from clients.store.packing import unpacked
from clients.store.read_models import Arm, LogLevel
from domain.executions.execution import Verdict
from domain.measuring.blocks import seed_of
from domain.measuring.comparison import Finding
from domain.measuring.load import BatchOrder, BatchReport, CaseOutcome, CaseRange
from domain.plans.plan import Load, Plan
from domain.plans.slo import Slo
from domain.resilience.model import Judgement
from domain.traffic.exchange import RequestSample
from tests.support.activities.stage import Stage

REQUESTS = 120
CASES = 16
FAST_US, SLOW_US = 10_000, 30_000

Answer = Callable[[str, int], RequestSample]


def steady(latency_us: int, number: int) -> RequestSample:
    """Spread the latencies a little, in the same way for every arm.

    Percentiles of two arms are then never equal merely because all samples are.
    """
    return RequestSample(latency_us=latency_us + number * 7_919 % 1_000, status=200)


class Scripted(LoadGenerator):
    """Sends nothing, gives each arm scripted answers, and records the order of the arms."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer
        self.sent: Counter[str] = Counter()
        self.order: list[str] = []
        self.paces: list[Any] = []
        self.warmed: list[str] = []
        self.dies_after: int | None = None

    async def block(self, request: PreparedRequest, pace: Any, requests: int, **_: Any) -> list[RequestSample]:
        if self.dies_after is not None and len(self.order) >= self.dies_after:
            raise ConnectionError("the worker died")
        arm = request.headers.get("baggage", "")
        self.order.append(arm)
        self.paces.append(pace)
        first = self.sent[arm]
        self.sent[arm] += requests
        return [self.answer(arm, first + number) for number in range(requests)]

    async def warm_up(self, request: PreparedRequest, pace: Any, at_most: int, spans: Any = None) -> WarmUp:
        self.warmed.append(request.headers.get("baggage", ""))
        return WarmUp(at_most, agreed=False)


class Bench:
    """The stage, with a changed plan and its generated cases."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stage, self._patch = stage, monkeypatch
        self.run = stage.execution.execution_id
        self.store = stage.tools.store
        self.plan = stage.plan

    async def prepare(self, load: dict[str, Any], slo: dict[str, Any]) -> None:
        self.plan = self.plan.model_copy(update={"load": Load.model_validate(load), "slo": Slo.model_validate(slo)})

        async def changed(_: int) -> Plan:
            return self.plan

        async def none_vanished(*_: Any) -> set[str]:
            return set()

        self._patch.setattr(self.store.executions, "plan", changed)
        self._patch.setattr(LoadActivities, "_vanished", none_vanished)
        stage = self._stage
        records = ExecutionActivities(stage.tools, stage.execution.timing)
        await stage.do(records.generate_cases, stage.ref)

    async def measure(self, load: LoadGenerator) -> BatchReport:
        self._stage.tools.load = load
        batch = BatchOrder(execution_id=self.run, cases=CaseRange(first=0, end=CASES))
        return await self._stage.do(LoadActivities(self._stage.tools).measure_batch, batch)

    async def judge(self) -> Judgement:
        return await self._stage.do(JudgingActivities(self._stage.tools).judge, self._stage.ref)

    async def token(self, case_id: str) -> str:
        tokens = await self.store.cases.tokens(self.run)
        return ",".join(tokens[service] for service in sorted(case_id.split("+")))


@pytest.fixture
def bench(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(stage, monkeypatch)


COMPARING: tuple[dict[str, Any], dict[str, Any]] = ({"requests": REQUESTS}, {"regression": {}})


async def test_a_plan_that_compares_nothing_sends_exactly_its_requests(bench: Bench) -> None:
    """Each case is sent in one block, with nothing before or between (`peer-contract` property 35)."""
    await bench.prepare({"requests": 7}, {"error_rate": "1%"})
    load = Scripted(lambda _, number: steady(FAST_US, number))
    report = await bench.measure(load)
    assert report.measured == CASES
    assert len(load.order) == CASES
    assert set(load.sent.values()) == {7}
    assert load.warmed == []
    results = await bench.store.results.all(bench.run)
    assert all(result.measurement and result.measurement.control is None for result in results)


async def test_a_regression_is_found_and_equal_cases_pass(bench: Bench) -> None:
    """Each arm sends all its requests, and so does the baseline beside each group."""
    await bench.prepare(*COMPARING)
    slow = await bench.token("reviews+shipping")
    load = Scripted(lambda arm, number: steady(SLOW_US if arm == slow else FAST_US, number))
    await bench.measure(load)
    # The baseline on its own, and beside three groups.
    assert load.sent.pop("") == 4 * REQUESTS
    assert set(load.sent.values()) == {REQUESTS}
    found = await bench.judge()
    assert found.verdict is Verdict.FAILED
    (failed,) = found.failed_cases
    assert failed.case_id == "reviews+shipping"
    assert "regression: p95 is 2." in failed.reason
    assert (found.cases.passed, found.cases.inconclusive, found.requests_saved) == (CASES - 1, 0, 0)


async def test_the_order_of_arms_follows_from_the_stored_seed(bench: Bench) -> None:
    """Seven arms take turns in each round of a full group, and not always in the same order."""
    await bench.prepare(*COMPARING)
    loads = [Scripted(lambda _, number: steady(FAST_US, number)) for _ in range(2)]
    await bench.measure(loads[0])
    rounds = [loads[0].order[5 + first : 5 + first + 7] for first in range(0, 35, 7)]
    assert all(len(set(arms)) == 7 for arms in rounds)
    assert len({tuple(arms) for arms in rounds}) > 1
    results = await bench.store.results.all(bench.run)
    seeds = [result.measurement.seed for result in results if result.measurement]
    firsts = [0, *[1] * 6, *[7] * 6, *[13] * 3]
    assert seeds == [seed_of(bench.run, first) for first in firsts]


async def test_a_repeated_batch_continues_after_the_last_stored_group(bench: Bench) -> None:
    """Stored cases are not sent again. The interrupted group is, in the same order as before."""
    await bench.prepare(*COMPARING)
    whole = Scripted(lambda _, number: steady(FAST_US, number))
    whole.dies_after = 5 + 35 + 12
    with pytest.raises(Exception, match="unexpected ConnectionError"):
        await bench.measure(whole)
    assert set(await bench.store.results.finished(bench.run, 0, CASES)) == set(range(7))
    rest = Scripted(lambda _, number: steady(FAST_US, number))
    report = await bench.measure(rest)
    assert report.measured == CASES
    assert rest.order[:12] == whole.order[-12:]
    tokens = {await bench.token(result.case_id) for result in (await bench.store.results.all(bench.run))[1:7]}
    assert not tokens & set(rest.order)
    again = Scripted(lambda _, number: steady(FAST_US, number))
    await bench.measure(again)
    assert again.order == []


async def test_samples_of_every_arm_are_stored(bench: Bench) -> None:
    """The control's samples are stored with the first case of its group. Errors are kept apart from latencies."""
    await bench.prepare(*COMPARING)

    def answer(_: str, number: int) -> RequestSample:
        return RequestSample(latency_us=1, status=500) if number == 3 else steady(FAST_US, number)

    await bench.measure(Scripted(answer))
    stored = await bench.store.samples.between(bench.run, 0, CASES)
    controls = [series.case_index for series in stored if series.arm is Arm.CONTROL]
    assert controls == [1, 7, 13]
    assert len(stored) == CASES + 3
    for series in stored:
        if series.arm is Arm.CASE:
            assert Histogram.decode(series.histogram).count == REQUESTS - 1
            assert series.raw is not None
            samples = unpacked(series.raw)
            assert [number for number, (_, failed) in enumerate(samples) if failed] == [3]
            assert len(samples) == REQUESTS


async def test_few_successes_make_a_case_and_the_run_inconclusive(bench: Bench) -> None:
    """The reason shows how many more successes are needed."""
    await bench.prepare(*COMPARING)
    poor = await bench.token("reviews")

    def answer(arm: str, number: int) -> RequestSample:
        if arm == poor and number % 3:
            return RequestSample(latency_us=1, status=500)
        return steady(FAST_US, number)

    await bench.measure(Scripted(answer))
    found = await bench.judge()
    assert (found.verdict, found.cases.inconclusive) == (Verdict.INCONCLUSIVE, 1)
    (unsure,) = found.inconclusive_cases
    assert unsure.case_id == "reviews"
    assert "too few requests succeeded: 19 more are needed" in unsure.reason


async def test_early_decisions_save_requests(bench: Bench) -> None:
    """Regressions and equal cases end early, and so does a case that can no longer meet its error rate."""
    most = 2_000
    await bench.prepare({"max_requests": most}, {"error_rate": "1%", "regression": {}})
    slow, broken = await bench.token("reviews+shipping"), await bench.token("reviews")

    def answer(arm: str, number: int) -> RequestSample:
        if arm == broken:
            return RequestSample(latency_us=1, status=500)
        return steady(SLOW_US if arm == slow else FAST_US, number)

    load = Scripted(answer)
    await bench.measure(load)
    assert load.sent[broken] < 50
    assert load.sent[slow] < most / 4
    results = {result.case_id: result.measurement for result in await bench.store.results.all(bench.run)}
    assert all(measured and measured.planned == most for measured in results.values())
    pair = results["reviews+shipping"]
    assert pair is not None
    assert pair.comparison is not None
    assert (pair.comparison.finding, pair.comparison.sequential) == (Finding.REGRESSION, True)
    found = await bench.judge()
    assert {case.case_id for case in found.failed_cases} == {"reviews", "reviews+shipping"}
    assert found.cases.passed == CASES - 2
    sent = sum(measured.requests for measured in results.values() if measured)
    assert found.requests_saved == CASES * most - sent > CASES * most / 4
    log = [entry.message for entry in await bench.store.logs.of(bench.run)]
    assert any(f"{found.requests_saved} requests saved" in message for message in log)


async def test_a_late_load_generator_invalidates_the_case(bench: Bench) -> None:
    """Other cases become invalid only if the baseline beside them was late. Each block has its own arrival times."""
    await bench.prepare({"requests": REQUESTS, "rate": "50/s"}, {"regression": {}})
    late = await bench.token("reviews")

    def answer(arm: str, number: int) -> RequestSample:
        behind = 6_000 if arm == late and number < 2 else 0
        return steady(FAST_US, number).model_copy(update={"late_us": behind})

    load = Scripted(answer)
    report = await bench.measure(load)
    assert (report.measured, report.invalid) == (CASES - 1, 1)
    results = {result.case_id: result for result in await bench.store.results.all(bench.run)}
    assert results["reviews"].outcome is CaseOutcome.INVALID
    assert "2 of 120 requests began more than 5 ms after they were due" in results["reviews"].reason
    assert all(isinstance(pace, Open) and pace.rate == 50 for pace in load.paces)
    assert len({pace.seed for pace in load.paces}) == len(load.paces)


async def test_every_group_is_warmed_up_and_a_group_that_stays_cold_is_logged(bench: Bench) -> None:
    """The warm-up uses the baseline's request, and none of it is counted."""
    await bench.prepare({"requests": REQUESTS, "warm_up": 100}, {"regression": {}})
    load = Scripted(lambda _, number: steady(FAST_US, number))
    await bench.measure(load)
    assert load.warmed == [""] * 4
    warnings = [entry.message for entry in await bench.store.logs.of(bench.run) if entry.level is LogLevel.WARN]
    assert sum("not warm after 100 requests" in warning for warning in warnings) == 4


async def test_a_bad_baseline_ends_the_load_test_before_any_group(bench: Bench) -> None:
    """The baseline is measured alone first."""
    bench.plan = bench.plan.model_copy(
        update={"stop": bench.plan.stop.model_validate({"baseline": {"error_rate": "1%"}})}
    )
    await bench.prepare(*COMPARING)
    load = Scripted(lambda _, number: RequestSample(latency_us=1, status=500))
    with pytest.raises(Exception, match=r"stop.baseline: error rate 100% > 1%"):
        await bench.measure(load)
    assert set(load.sent) == {""}


@pytest.mark.parametrize(
    ("p_value", "sequential", "verdict"),
    [
        (0.03, False, Verdict.INCONCLUSIVE),
        (0.003, False, Verdict.FAILED),
        # The sequential test looks after every round, and already accounts for its share of false alarms.
        (0.03, True, Verdict.FAILED),
    ],
)
async def test_a_regression_must_hold_against_all_comparisons_of_the_run(
    bench: Bench, p_value: float, sequential: bool, verdict: Verdict
) -> None:
    """Among fifteen comparisons, one shows a regression by chance often enough.

    The 5 % of false alarms apply to the whole run.
    """
    await bench.prepare(*COMPARING)
    await bench.measure(Scripted(lambda _, number: steady(FAST_US, number)))
    results = await bench.store.results.all(bench.run)
    first = results[1].measurement
    assert first is not None
    assert first.comparison is not None
    facts = {"finding": Finding.REGRESSION, "p_value": p_value, "sequential": sequential, "ratio": 1.2}
    found = first.model_copy(update={"comparison": first.comparison.model_copy(update=facts)})
    await bench.store.results.save_group(bench.run, [results[1].model_copy(update={"measurement": found})], [])
    judgement = await bench.judge()
    assert judgement.verdict is verdict
    (case,) = judgement.failed_cases + judgement.inconclusive_cases
    assert case.case_id == results[1].case_id
