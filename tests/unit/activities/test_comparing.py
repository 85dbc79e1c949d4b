"""Comparisons while a group is measured: which cases are compared, and the error probabilities they get."""

from __future__ import annotations

from typing import Any

import pytest

from activities.load import comparing
from activities.load.arms import ArmRun
from activities.load.comparing import look_at
from clients.plans.files import read_plan_file
from domain.cases.cases import case_at
from domain.cases.thresholds import PlanThresholds
from domain.measuring.comparison import Finding
from domain.measuring.samples import Taken
from domain.measuring.statistics.sequential import Look, Wald
from domain.plans.plan import Plan
from domain.plans.slo import Slo
from domain.traffic.exchange import RequestSample
from tests.support.paths import EXAMPLES

SHOP = Plan.model_validate(read_plan_file(EXAMPLES / "shop.yaml"))
UNSENT: Any = None
"""No request is sent here."""


def plan(**regression: Any) -> Plan:
    slo = {"regression": regression, "overrides": [{"for": "reviews", "budget": "1s"}]}
    return SHOP.model_copy(update={"slo": Slo.model_validate(slo)})


def arm(subject: Plan, index: int) -> ArmRun:
    case = case_at(subject.service_names, index)
    samples = [RequestSample(latency_us=10_000 + number * 7_919 % 1_000, status=200) for number in range(400)]
    return ArmRun(
        position=index, probe=UNSENT, case=case, meets=PlanThresholds(subject).of(case), taken=Taken([samples])
    )


def test_each_case_gets_its_share_of_the_runs_false_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan's share is for the whole run: five services make fifteen cases beside the baseline."""
    seen: list[Wald] = []

    def noted(_: Any, __: Any, wald: Wald) -> Look:
        seen.append(wald)
        return Look(None, None)

    monkeypatch.setattr(comparing, "look", noted)
    subject = plan(false_alarms="3%", misses="20%", percentile="p50")
    look_at(subject, [arm(subject, 1), arm(subject, 2)], arm(subject, 0))
    assert [(parameters.percentile, parameters.alpha, parameters.beta) for parameters in seen] == [
        (0.5, pytest.approx(0.03 / 15), 0.2)
    ] * 2


def test_look_at_skips_decided_cases_and_cases_with_a_budget() -> None:
    """A decided case keeps its decision whatever is measured later."""
    subject = plan()
    reviews = subject.service_names.index("reviews") + 1
    cases = [arm(subject, 1), arm(subject, reviews), arm(subject, 3)]
    cases[2].look = decided = Look(Finding.REGRESSION, None)
    look_at(subject, cases, arm(subject, 0))
    assert cases[0].look == Look(Finding.EQUIVALENT, None)
    assert cases[1].look is None
    assert cases[2].look is decided
