"""Verdicts: whether a case meets the SLO, and the run's result."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from domain.cases.thresholds import Thresholds
from domain.executions.execution import Verdict
from domain.measuring.comparison import Comparison, Control, Finding
from domain.measuring.statistics.support import supported
from domain.plans.plan import Coverage
from domain.plans.slo import Limits, Percentile, RelativeLimits
from domain.resilience.model import CaseCounts
from domain.traffic.exchange import Measurement
from domain.units import format_duration


def success_latency(measurement: Measurement | Control, percentile: str) -> timedelta | None:
    """Return a percentile of the successful requests; None without a success.

    `percentile`: `p50`, `p95` or `p99`.
    """
    microseconds: int | None = getattr(measurement, f"success_{percentile}_us")
    return None if microseconds is None else timedelta(microseconds=microseconds)


def shown_latency(measurement: Measurement, percentile: Percentile) -> timedelta | None:
    """Return a percentile that may be shown to people.

    None if too few requests succeeded to support it.
    """
    enough = supported(measurement.successes, percentile.share)
    return success_latency(measurement, percentile) if enough else None


def broken_limits(measurement: Measurement, limits: Limits) -> list[str]:
    """Describe every absolute threshold that is missed; empty if none is.

    A latency threshold cannot be met without a single success.
    """
    broken = []
    if limits.error_rate is not None and measurement.error_rate > limits.error_rate:
        broken.append(f"error rate {measurement.error_rate:g}% > {limits.error_rate:g}%")
    for percentile in Percentile:
        broken += _over(measurement, percentile, getattr(limits, percentile), "")
    return broken


def _over(measurement: Measurement, percentile: Percentile, limit: timedelta | None, what: str) -> Iterator[str]:
    """Yield why a percentile is above its limit, if it is.

    `what`: names the limit in the message.
    """
    if limit is None:
        return
    found = success_latency(measurement, percentile)
    if found is None:
        yield f"{percentile} not measurable: no request succeeded"
    elif found > limit:
        yield f"{percentile} {_ms(found)} > {what}{format_duration(limit)}{_few_note(measurement, percentile)}"


def _few_note(measurement: Measurement, percentile: Percentile) -> str:
    """Return a note if too few requests succeeded to support the percentile."""
    few = not supported(measurement.successes, percentile.share)
    return f" (n = {measurement.successes})" if few else ""


def _broken_relative(
    measurement: Measurement, relative: RelativeLimits, normal: Measurement | Control | None
) -> Iterator[str]:
    """Yield the limits relative to the baseline that a case misses.

    Without a success on both sides nothing can be compared, which counts as missed.
    """
    for percentile in Percentile:
        share: float | None = getattr(relative, percentile)
        if share is None:
            continue
        found = success_latency(measurement, percentile)
        normal_latency = success_latency(normal, percentile) if normal else None
        if normal_latency is None or found is None:
            where = "baseline" if found else "this case"
            yield f"{percentile} not comparable: no successful request in {where}"
        elif found > normal_latency * share / 100:
            few = _few_note(measurement, percentile)
            yield f"{percentile} {_ms(found)} > {share:g}% of baseline {_ms(normal_latency)}{few}"


def _ms(value: timedelta) -> str:
    return f"{value / timedelta(milliseconds=1):.1f}ms"


def case_verdict(
    measurement: Measurement, meets: Thresholds, baseline: Measurement | None, *, confirmed: bool = True
) -> tuple[Verdict, str]:
    """Return the verdict of a measured case, and its reason.

    The reason is empty if the case passed. Relative limits use the baseline beside the case if there is one, else the
    run's. `confirmed`: whether a regression still counts as one when all cases of the run are considered.
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
    """Return the verdict that a comparison gives its case."""
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
    """Return the verdict of a run.

    Failed if any case failed. Passed if all measured cases passed and enough were measured. Else inconclusive. Enough
    means every case, or the share in the plan's `coverage`. Cases that the plan leaves out are not missed.
    """
    if counts.failed:
        return Verdict.FAILED
    wanted = counts.total - counts.excluded - counts.dispensable
    # Rounded, so that binary fractions cannot put a share that is just enough below the limit.
    enough = counts.measured >= wanted or round(100 * counts.measured / wanted, 9) >= coverage.at_least
    return Verdict.PASSED if counts.measured and counts.passed == counts.measured and enough else Verdict.INCONCLUSIVE
