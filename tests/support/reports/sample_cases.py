"""Made-up cases and pairs, measured or not: most are fine, some are slow, and a few pairs fail."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from random import Random

from domain.calls.model import FoundBy
from domain.measuring.comparison import Finding
from domain.measuring.load import CaseOutcome, CaseType
from domain.plans.slo import Percentile
from reports.model.report import (
    CaseReport,
    CaseState,
    Interaction,
    PairCell,
    Ratio,
    RealReport,
)

NASTY = '</script><script>alert("answered")</script><img src=x onerror=alert(1)>'
"""What a service might answer, and no page may obey."""

UNMEASURED = (CaseState.INVALID, CaseState.SKIPPED, CaseState.EXCLUDED, CaseState.MISSING)
_OUTCOMES = {
    CaseState.INVALID: CaseOutcome.INVALID,
    CaseState.SKIPPED: CaseOutcome.SKIPPED,
    CaseState.EXCLUDED: CaseOutcome.SKIPPED,
    CaseState.MISSING: None,
}
REASONS = {
    CaseState.INVALID: "no baggage reaches the service, so its rule would never act",
    CaseState.SKIPPED: "the service has no captured failure: FAULT_NOT_RUNNING after 30 s",
    CaseState.EXCLUDED: "excluded by the plan: both are behind the same feature switch",
}


class SampleCases:
    """Draws the cases of these services, and knows which cannot be measured."""

    def __init__(self, names: list[str], random: Random, *, aborted: bool) -> None:
        self._names, self._random, self._aborted = names, random, aborted
        services = len(names)
        self._reached = 1 + services + (services * (services - 1) // 2) // 3 if aborted else 10**9
        self.deaf = {names[2]} if services > 3 else set()
        """No baggage reaches these services."""
        self.mute = {names[-1]} if services > 6 else set()
        """The failures of these services were not captured."""

    def cases(self) -> list[CaseReport]:
        found = [self._measured(0, "baseline", CaseType.BASELINE, [], 0, 12.0)]
        self._alone = {name: (self._random.choice([0, 0, 0, 0, 12.5, 100]), self._slowness()) for name in self._names}
        for name in self._names:
            rate, slow = self._alone[name]
            found.append(self._case(len(found), [name], rate, slow))
        for first, second in combinations(self._names, 2):
            (first_rate, slow), (second_rate, slower) = self._alone[first], self._alone[second]
            rate = 100 if self._random.random() < 0.07 else max(first_rate, second_rate)
            surprise = 4 if self._random.random() < 0.05 else 1
            found.append(self._case(len(found), [first, second], rate, max(slow, slower) * surprise))
        return found

    def _slowness(self) -> float:
        return 12.0 * self._random.choice([1, 1.02, 1.05, 1.3, 2.2, 6])

    def _case(self, index: int, services: list[str], rate: float, p95: float) -> CaseReport:
        kind = CaseType.SINGLE if len(services) == 1 else CaseType.DUAL
        unmeasured = self._unmeasured(index, services)
        if unmeasured is not None:
            return CaseReport(
                index=index,
                case_id="+".join(services),
                case_type=kind,
                services=services,
                state=unmeasured,
                outcome=_OUTCOMES[unmeasured],
                reason=REASONS.get(unmeasured, ""),
            )
        return self._measured(index, "+".join(services), kind, services, rate, p95)

    def _unmeasured(self, index: int, services: list[str]) -> CaseState | None:
        if self.deaf & {*services}:
            return CaseState.INVALID
        if self.mute & {*services}:
            return CaseState.SKIPPED
        if index >= self._reached:
            return CaseState.MISSING
        return CaseState.EXCLUDED if len(services) == 2 and index % 17 == 0 else None

    def _measured(
        self, index: int, case_id: str, kind: CaseType, services: list[str], rate: float, p95: float
    ) -> CaseReport:
        requests = 80
        errors = round(requests * rate / 100)
        successes = requests - errors
        ratio = p95 / 12
        state = _state(rate, ratio) if not self._aborted else CaseState.UNJUDGED
        reasons = {
            CaseState.FAILED: f"error rate {rate:g}% above 1%" if rate > 1 else f"p95 {p95:.0f} ms, {ratio:.2f} times",
            CaseState.INCONCLUSIVE: "p95 may be slower than allowed: about 200 more requests would tell",
        }
        shown = p95 if successes >= 59 else None
        return CaseReport(
            index=index,
            case_id=case_id,
            case_type=kind,
            services=services,
            state=state,
            outcome=CaseOutcome.MEASURED,
            reason=reasons.get(state, ""),
            requests=requests,
            successes=successes,
            error_rate=rate,
            errors_by_kind={"status 503": errors} if errors else {},
            p50_ms=round(p95 * 0.6, 3) if successes else None,
            p95_ms=None if shown is None else round(shown, 3),
            max_ms=round(p95 * 1.7, 3) if successes else None,
            unsupported=[
                percentile
                for percentile, least in ((Percentile.P95, 59), (Percentile.P99, 299))
                if 0 < successes < least
            ],
            per_second=round(80 / 1.4, 2),
            p50_ratio=round(ratio, 4) if successes else None,
            p95_ratio=None if shown is None else round(ratio, 4),
            ratio=Ratio(
                percentile=Percentile.P95,
                value=round(ratio, 4),
                low=round(ratio * 0.93, 4),
                high=round(ratio * 1.12, 4),
                limit=1.5,
                beside=True,
            )
            if index and shown is not None
            else None,
            finding=_finding(ratio) if index and shown is not None else None,
            answer_status=503 if errors else 200,
            answer_body=NASTY if errors else '{"items": [1, 2, 3]}',
            histogram=self._histogram(successes, p95 * 1000 * 0.6),
            found_by=FoundBy.REAL_FAULTS if index == 1 else FoundBy.RULES if index else None,
            real=RealReport(requests=2, differs=[f"body at $.{NASTY}"], status=None, body=NASTY, error="timeout")
            if index == 1
            else None,
            substituted=services if index == 1 else [],
        )

    def _histogram(self, successes: int, middle_us: float) -> list[tuple[int, int]] | None:
        if not successes:
            return None
        drawn = (math.log10(middle_us * self._random.lognormvariate(0, 0.3)) * 20 for _ in range(successes))
        found = Counter(math.ceil(exponent) for exponent in drawn)
        return [(round(10 ** (bound / 20)), many) for bound, many in sorted(found.items())]

    def pairs(self, cases: list[CaseReport]) -> list[PairCell]:
        """Return the pairs of these cases, the worst interaction first."""
        by_id = {case.case_id: case for case in cases}
        drawn = [self._pair(case, by_id) for case in cases if case.case_type is CaseType.DUAL]
        return sorted(drawn, key=lambda pair: -_badness(pair))

    def _pair(self, case: CaseReport, by_id: dict[str, CaseReport]) -> PairCell:
        first, second = case.services
        first_rate, second_rate = by_id[first].error_rate, by_id[second].error_rate
        interaction = None
        if case.error_rate is not None and first_rate is not None and second_rate is not None:
            together = 100 * (1 - (1 - first_rate / 100) * (1 - second_rate / 100))
            expected = by_id[first].p95_ms, by_id[second].p95_ms
            sums = None if None in expected or case.p95_ms is None else round(sum(filter(None, expected)) - 12, 3)
            interaction = Interaction(
                error_points=round(case.error_rate - max(first_rate, second_rate), 2),
                expected_error_rate=round(together, 2),
                error_points_unexpected=round(case.error_rate - together, 2),
                percentile=None if sums is None else Percentile.P95,
                expected_ms=sums,
                excess_ms=None if sums is None or case.p95_ms is None else round(case.p95_ms - sums, 3),
                times_expected=None if sums is None or case.p95_ms is None else round(case.p95_ms / sums, 3),
                worse=case.error_rate - together > 10,
            )
        return PairCell(
            first=first,
            second=second,
            case_index=case.index,
            state=case.state,
            error_rate=case.error_rate,
            p50_ratio=case.p50_ratio,
            p95_ratio=case.p95_ratio,
            interaction=interaction,
        )


def _state(rate: float, ratio: float) -> CaseState:
    if rate > 1 or ratio > 1.5:
        return CaseState.FAILED
    return CaseState.INCONCLUSIVE if ratio > 1.1 else CaseState.PASSED


def _finding(ratio: float) -> Finding:
    return Finding.REGRESSION if ratio > 1.5 else Finding.EQUIVALENT


def _badness(pair: PairCell) -> float:
    if pair.interaction is None:
        return -math.inf
    return (pair.interaction.error_points_unexpected or 0) * 10 + (pair.interaction.excess_ms or 0)
