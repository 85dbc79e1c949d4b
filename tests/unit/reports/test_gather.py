"""A report holds what is stored."""

from __future__ import annotations

import pytest
import yaml

from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Verdict
from domain.measuring.comparison import Comparison, Control, Finding
from domain.measuring.load import CaseOutcome
from domain.plans.plan import Plan
from reports.build.distributions import BOUNDS_US, distribution
from reports.build.gather import gather
from reports.model.report import CaseState, Report
from tests.support.reports.stored_runs import REQUESTS, StoredRun, finished_run, small_plan, taken


async def test_a_report_has_every_case_with_its_numbers(finished: Report) -> None:
    """By index, with percentiles of successes and ratios to the baseline."""
    assert [case.case_id for case in finished.cases] == [
        "baseline", "alpha", "beta", "gamma", "alpha+beta", "alpha+gamma", "beta+gamma",
    ]  # fmt: skip
    baseline, alpha, *_, failing, slow, _ = finished.cases
    assert (baseline.p50_ms, baseline.p95_ms, baseline.p95_ratio) == (100.049, 100.094, None)
    assert (alpha.state, alpha.requests, alpha.error_rate) == (CaseState.PASSED, REQUESTS, 0.0)
    assert alpha.p95_ratio == round(120.094 / 100.094, 3)
    assert (failing.state, failing.error_rate, failing.p95_ms, failing.p95_ratio) == (CaseState.FAILED, 100, None, None)
    assert failing.errors_by_kind == {"status 503": REQUESTS}
    assert (slow.reason, slow.p99_ms, slow.unsupported) == ("p95 280.1ms > 250ms", None, ["p99"])


async def test_latencies_of_all_cases_have_the_same_bounds(finished: Report) -> None:
    """Every success is counted once, between adjacent bounds of the list."""
    for case in finished.cases:
        assert case.histogram is not None
        assert sum(count for _, count in case.histogram) == case.successes
        assert {upper for upper, _ in case.histogram} <= set(BOUNDS_US)
    (upper, _), *_ = finished.cases[0].histogram or []
    place = BOUNDS_US.index(upper)
    assert BOUNDS_US[place - 1] < 100_000 <= upper


def test_a_value_is_counted_at_the_first_bound_not_below_it() -> None:
    """A value at a bound belongs to that bound. A value beyond the last bound belongs to the last."""
    assert distribution([(1, 2), (1000, 1), (1001, 1), (10**13, 1)]) == [(1, 2), (1000, 1), (1122, 1), (10**12, 1)]


async def test_worse_pairs_come_first(finished: Report) -> None:
    """Errors come before slowness, and effects that add up are no interaction."""
    together, slower, plain = finished.pairs
    assert (together.first, together.second, together.case_index) == ("alpha", "beta", 4)
    assert together.interaction is not None
    assert (together.interaction.error_points, together.interaction.only_together) == (100, True)
    assert slower.interaction is not None
    assert slower.interaction.expected_ms == pytest.approx(140.094)
    assert slower.interaction.excess_ms == pytest.approx(140)
    assert slower.interaction.worse
    assert plain.interaction is not None
    assert not plain.interaction.worse
    assert not plain.interaction.only_together


async def test_the_timeline_goes_from_intent_to_verified_recovery(finished: Report) -> None:
    """For everything that was switched on. Each phase ends when the next begins."""
    windows = {window.service or window.kind: window for window in finished.timeline.windows}
    assert set(windows) == {"recording", "alpha", "beta", "gamma", "rules"}
    assert {window.seconds for window in windows.values()} == {2.0}
    assert [phase.phase for phase in finished.timeline.phases] == ["GENERATING_CASES", "LOAD_TEST_BASELINE", "DONE"]
    first, second, last = finished.timeline.phases
    assert (first.finished_at, second.finished_at) == (second.started_at, last.started_at)
    assert last.finished_at is None


async def test_a_service_shows_its_failure_beside_its_healthy_answer(finished: Report) -> None:
    """And the injected experiment, in full."""
    alpha = finished.services[0]
    assert (alpha.service, alpha.fault, alpha.state, alpha.broken_seconds) == ("alpha", "remove", "Recovered", 2.0)
    assert alpha.experiment["action"] == "remove"
    (answer,) = alpha.captured
    assert (answer.status, answer.healthy_status, answer.healthy_body) == (503, 200, '{"stars":5}')
    assert finished.cases[alpha.case_index or 0].services == ["alpha"]


async def test_unmeasured_cases_are_counted_with_their_reason(aborted: Report) -> None:
    """No case is silently absent: here the run never came to five of them."""
    states = [case.state for case in aborted.cases]
    assert states == ["missing", "missing", "invalid", "skipped", "missing", "missing", "missing"]
    found = aborted.coverage
    assert (found.total, found.measured, found.invalid, found.skipped, found.missing) == (7, 0, 1, 1, 5)
    assert not found.enough
    assert sum(reason.cases for reason in found.reasons) == 7
    assert all(reason.reason for reason in found.reasons)


async def test_a_run_that_ended_early_shows_why(aborted: Report) -> None:
    """The cause, that there is no verdict, and what may still be on."""
    assert aborted.verdict_sentence == (
        "No verdict: the run ended early (ABORTED: an operator said so); 0 of 7 cases were measured."
    )
    assert aborted.recovery_sentence == "Recovery UNVERIFIED: something may still be on: hf-fault-beta."
    (notice,) = aborted.timeline.notices
    assert (notice.level, notice.message) == ("ERROR", "asked to | stop <now>")
    beta = next(window for window in aborted.timeline.windows if window.service == "beta")
    assert (beta.state, beta.recovered_at) == ("unverified", None)


async def test_a_run_that_has_just_begun_has_a_report(store: Store) -> None:
    """Without cases. The report shows that the run is under way."""
    run = await StoredRun.begin(store)
    found = await gather(store, run.execution_id)
    assert found.verdict_sentence == "The run is still under way, in GENERATING_CASES: no case is measured yet."
    assert (found.cases, found.pairs, found.coverage.enough) == ([], [], False)
    assert [service.service for service in found.services] == ["alpha", "beta", "gamma"]


async def test_an_unknown_run_has_no_report(store: Store) -> None:
    """An empty report would claim that all is well."""
    with pytest.raises(HoldfastError) as caught:
        await gather(store, 1)
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_excluded_cases_are_distinguished_from_skipped_cases(store: Store) -> None:
    """Cases are skipped for other reasons, too."""
    run = await StoredRun.begin(store, small_plan(exclude=[{"case": "alpha+beta", "reason": "known"}]))
    await run.generate()
    await run.leave_out(4, CaseOutcome.SKIPPED, "excluded by the plan: known")
    found = await gather(store, run.execution_id)
    assert found.cases[4].state is CaseState.EXCLUDED
    assert (found.coverage.excluded, found.coverage.skipped, found.coverage.wanted) == (1, 0, 6)


async def test_a_case_is_compared_with_the_baseline_beside_it(store: Store) -> None:
    """With its interval and that baseline's own latencies, not with the baseline that was measured before."""
    plan = small_plan(slo={"p95": "2s", "regression": {}}, load={"requests": REQUESTS})
    run = await StoredRun.begin(store, plan)
    await run.generate()
    await run.measure(0, taken(50), Verdict.PASSED)
    beside = taken(100)
    control = Control(
        requests=REQUESTS, successes=REQUESTS, success_p50_us=100_049, success_p95_us=100_094, success_p99_us=100_098
    )
    compared = Comparison(
        percentile="p95", ratio=1.5, low=1.4, high=1.6, limit=1.1, p_value=0.001, finding=Finding.REGRESSION
    )
    await run.measure(
        1, taken(150), Verdict.FAILED, "slow", beside=beside, seed=7, control=control, comparison=compared
    )
    found = await gather(store, run.execution_id)
    case = found.cases[1]
    assert case.ratio is not None
    assert (case.ratio.value, case.ratio.low, case.ratio.high, case.p95_ratio) == (1.5, 1.4, 1.6, 1.5)
    assert case.p50_ratio == round(150.049 / 100.049, 3)
    assert case.finding is Finding.REGRESSION
    assert case.control == 0
    assert (found.controls[0].first_case, found.controls[0].p95_ms) == (1, 100.094)
    assert sum(count for _, count in found.controls[0].histogram or []) == REQUESTS


async def test_the_plan_in_a_report_is_valid_and_has_no_secret(store: Store) -> None:
    """A value written under a secret's name is replaced. References and everything else stay."""
    request = {
        "url": "http://127.0.0.1:1/a?token=s3cret-1",
        "headers": {"authorization": "Bearer s3cret-2", "x-api-key": "${env:KEY}", "accept": "text/plain"},
        "query": {"token": "s3cret-3"},
        "login": {"url": "http://127.0.0.1:1/login", "form": {"password": "s3cret-4", "user": "me"}},
    }
    stop = {"health": {"url": "http://127.0.0.1:1/health?token=s3cret-5&deep=1"}}
    run = await StoredRun.begin(store, small_plan(request=request, stop=stop, redact=["token", "password"]))
    found = await gather(store, run.execution_id)
    assert "s3cret" not in found.model_dump_json()
    document = yaml.safe_load(found.plan_yaml)
    assert document["request"]["headers"]["x-api-key"] == "${env:KEY}"
    assert document["request"]["headers"]["accept"] == "text/plain"
    assert document["request"]["login"]["form"] == {"password": "[redacted]", "user": "me"}
    assert document["stop"]["health"]["url"].endswith("&deep=1")
    assert Plan.model_validate(document).services == run.plan.services


async def test_a_plan_without_secrets_is_reported_unchanged(finished: Report) -> None:
    """It can be run again as it is in the report."""
    assert Plan.model_validate(yaml.safe_load(finished.plan_yaml)) == small_plan()


async def test_the_worst_of_very_many_cases_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the baseline and the singles. The report shows how many are left out, and counts all of them."""
    monkeypatch.setattr("reports.build.gather.MOST_REPORTED_CASES", 5)
    monkeypatch.setattr("reports.build.reading.CHUNK", 2)
    found = await gather(store, await finished_run(store))
    assert [case.case_id for case in found.cases] == ["baseline", "alpha", "beta", "gamma", "alpha+beta"]
    assert (found.cases_left_out, found.run.cases.total, found.run.cases.passed, found.coverage.measured) == (
        2,
        7,
        5,
        7,
    )
    assert found.run.load.worst_max_case == "alpha+gamma"
