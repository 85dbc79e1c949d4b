"""Thresholds of a case: the plan's, or its most specific override's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from domain.measuring.load import Case
from domain.plans.exclusions import case_forms, normal_form
from domain.plans.plan import Plan
from domain.plans.slo import Limits, Percentile, Regression, RelativeLimits, SloOverride

_LIMITS = tuple(Limits.model_fields)


@dataclass(frozen=True)
class Thresholds:
    """What one case must meet."""

    limits: Limits
    relative: RelativeLimits | None = None
    regression: Regression | None = None
    budget: timedelta | None = None
    """Designed time. It is judged instead of latency limits and comparison, which are all unset then."""
    budget_percentile: Percentile = Percentile.P95


class PlanThresholds:
    """Thresholds of a plan's cases."""

    def __init__(self, plan: Plan) -> None:
        self._slo = plan.slo
        self._overrides = {normal_form(slo_override.case): slo_override for slo_override in plan.slo.overrides}
        common = {name: getattr(plan.slo, name) for name in _LIMITS}
        self._common = Thresholds(_limits(common), plan.slo.relative_to_baseline, plan.slo.regression)

    def of(self, case: Case) -> Thresholds:
        """Return the thresholds of one case.

        The baseline has no override.
        """
        found = next((self._overrides[form] for form in case_forms(case) if form in self._overrides), None)
        return self._common if found is None else self._with_override(found)

    def _with_override(self, override: SloOverride) -> Thresholds:
        given = {name: limit for name in _LIMITS if (limit := getattr(override, name)) is not None}
        if override.budget is None:
            return replace(self._common, limits=self._common.limits.model_copy(update=given))
        # A budget replaces every limit except the error rate.
        errors = given.get("error_rate", self._slo.error_rate)
        percentile = self._slo.regression.percentile if self._slo.regression else Percentile.P95
        return Thresholds(_limits({"error_rate": errors}), budget=override.budget, budget_percentile=percentile)


def _limits(given: dict[str, Any]) -> Limits:
    """Build limits from values that are already validated."""
    return Limits.model_construct(**given)
