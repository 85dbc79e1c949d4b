"""Whether a case meets the SLO, and what that makes of the run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from domain.cases.thresholds import Thresholds
from domain.executions.execution import CaseCounts, Verdict
from domain.measuring.comparison import Comparison, Control, Finding
from domain.measuring.statistics.support import supported
from domain.plans.plan import Coverage
from domain.plans.slo import Limits, Percentile, RelativeLimits
from domain.traffic.exchange import Measurement
from domain.units import format_duration


def success_latency(measurement: Measurement | Control, percentile: str) -> timedelta | None:
    """A percentile (`p50`, `p95`, `p99`) of the successful requests; None without a success."""
    microseconds: int | None = getattr(measurement, f"success_{percentile}_us")
    return None if microseconds is None else timedelta(microseconds=microseconds)


def shown_latency(measurement: Measurement, percentile: Percentile) -> timedelta | None:
    """The same where there are successes enough to say anything about it: what people may be shown."""
    enough = supported(measurement.successes, percentile.share)
    return success_latency(measurement, percentile) if enough else None


def broken_limits(measurement: Measurement, limits: Limits) -> list[str]:
    """Every absolute threshold that is missed, in words; empty when all are met.

    A latency threshold cannot be met without a single success.
    """
    broken = []
    if limits.error_rate is not None and measurement.error_rate > limits.error_rate:
        broken.append(f"error rate {measurement.error_rate:g}% > {limits.error_rate:g}%")
    for percentile in Percentile:
        broken += _over(measurement, percentile, getattr(limits, percentile), "")
    return broken


def _over(measurement: Measurement, percentile: Percentile, limit: timedelta | None, what: str) -> Iterator[str]:
    """Why a percentile is above its limit, when it is; `what` says which limit that is."""
    if limit is None:
        return
    found = success_latency(measurement, percentile)
    if found is None:
        yield f"{percentile} not measurable: no request succeeded"
    elif found > limit:
        yield f"{percentile} {_ms(found)} > {what}{format_duration(limit)}{_of_few(measurement, percentile)}"


def _of_few(measurement: Measurement, percentile: Percentile) -> str:
    """What is judged of so few successful requests that it says little, says so."""
    few = not supported(measurement.successes, percentile.share)
    return f" (n = {measurement.successes})" if few else ""


def _broken_relative(
    measurement: Measurement, relative: RelativeLimits, normal: Measurement | Control | None
) -> Iterator[str]:
    """Against the baseline beside the case. Without a success on a side nothing can be said, which counts as missed."""
    for percentile in Percentile:
        share: float | None = getattr(relative, percentile)
        if share is None:
            continue
        found, usual = success_latency(measurement, percentile), success_latency(normal, percentile) if normal else None
        if usual is None or found is None:
            where = "baseline" if found else "this case"
            yield f"{percentile} not comparable: no successful request in {where}"
        elif found > usual * share / 100:
            few = _of_few(measurement, percentile)
            yield f"{percentile} {_ms(found)} > {share:g}% of baseline {_ms(usual)}{few}"


def _ms(value: timedelta) -> str:
    return f"{value / timedelta(milliseconds=1):.1f}ms"


def case_verdict(
    measurement: Measurement, meets: Thresholds, baseline: Measurement | None, *, confirmed: bool = True
) -> tuple[Verdict, str]:
    """A measured case's verdict and its reason (empty when passed).

    The baseline beside the case counts, where there is one; else the run's. `confirmed`: whether a regression is still
    one when all cases of the run are considered.
    """
    broken = broken_limits(measurement, meets.limits)
    if meets.relative is not None:
        broken += _broken_relative(measurement, meets.relative, measurement.control or baseline)
    broken += _over(measurement, meets.budget_percentile, meets.budget, "budget of ")
    verdict, why = Verdict.PASSED, ""
    if meets.regression is not None and measurement.comparison is not None:
        verdict, why = _compared(measurement.comparison, confirmed=confirmed)
    if broken or verdict is Verdict.FAILED:
        return Verdict.FAILED, "; ".join([*broken, *([why] if verdict is Verdict.FAILED else [])])
    return verdict, why


def _compared(found: Comparison, *, confirmed: bool) -> tuple[Verdict, str]:
    """What a comparison makes of its case."""
    allowed = f"{found.limit:.2f} allowed"
    if found.finding is Finding.EQUIVALENT:
        return Verdict.PASSED, ""
    if found.ratio is None or found.low is None or found.high is None:
        more = f": {found.more_requests} more are needed" if found.more_requests else ""
        return Verdict.INCONCLUSIVE, f"{found.percentile} cannot be compared: too few requests succeeded{more}"
    between = f"({found.low:.2f} to {found.high:.2f})"
    seen = f"{found.percentile} is {found.ratio:.2f} times the baseline's {between}, {allowed}"
    if found.finding is Finding.REGRESSION and confirmed:
        return Verdict.FAILED, f"regression: {seen}"
    if found.finding is Finding.REGRESSION:
        return Verdict.INCONCLUSIVE, f"{seen}: may be chance among so many cases"
    more = f": about {found.more_requests} more requests would decide" if found.more_requests else ""
    return Verdict.INCONCLUSIVE, f"{seen}{more}"


def run_verdict(counts: CaseCounts, coverage: Coverage) -> Verdict:
    """Failed when any case failed; else inconclusive unless enough cases were measured, and all passed; else passed.

    Enough is every one, or what the plan's `coverage` says. Cases that the plan leaves out are not missed.
    """
    if counts.failed:
        return Verdict.FAILED
    wanted = counts.total - counts.excluded - counts.dispensable
    # Rounded: 29 of 100 is 29 %, whatever binary fractions make of it.
    enough = counts.measured >= wanted or round(100 * counts.measured / wanted, 9) >= coverage.at_least
    return Verdict.PASSED if counts.measured and counts.passed == counts.measured and enough else Verdict.INCONCLUSIVE
