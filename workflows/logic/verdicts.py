"""Whether a case meets the SLO, and what that makes of the run."""

from __future__ import annotations

from datetime import timedelta

from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import CaseCounts, Verdict
from workflows.contracts.plan import Coverage
from workflows.contracts.slo import Limits, Slo
from workflows.contracts.units import format_duration

_PERCENTILES = ("p50", "p95", "p99")


def success_latency(measurement: Measurement, percentile: str) -> timedelta | None:
    """A percentile (`p50`, `p95`, `p99`) of the successful requests; None without a success."""
    microseconds: int | None = getattr(measurement, f"success_{percentile}_us")
    return None if microseconds is None else timedelta(microseconds=microseconds)


def broken_limits(measurement: Measurement, slo: Limits, baseline: Measurement | None) -> list[str]:
    """Every threshold that the case misses, in words; empty when it meets the SLO.

    A latency threshold cannot be met without a single success. A relative one needs a measured baseline; without one
    it cannot be judged and counts as missed, because nothing unmeasured may pass.
    """
    broken = []
    if slo.error_rate is not None and measurement.error_rate > slo.error_rate:
        broken.append(f"error rate {measurement.error_rate:g}% > {slo.error_rate:g}%")
    for name in _PERCENTILES:
        broken += _broken_latency(name, measurement, slo, baseline)
    return broken


def _broken_latency(name: str, measurement: Measurement, slo: Limits, baseline: Measurement | None) -> list[str]:
    broken = []
    found = success_latency(measurement, name)
    limit: timedelta | None = getattr(slo, name)
    if limit is not None:
        if found is None:
            broken.append(f"{name} not measurable: no request succeeded")
        elif found > limit:
            broken.append(f"{name} {_ms(found)} > {format_duration(limit)}")
    relative = slo.relative_to_baseline if isinstance(slo, Slo) else None
    share: float | None = getattr(relative, name) if relative else None
    if share is not None:
        normal = success_latency(baseline, name) if baseline else None
        if normal is None or found is None:
            broken.append(f"{name} not comparable: no successful request in " + ("baseline" if found else "this case"))
        elif found > normal * share / 100:
            broken.append(f"{name} {_ms(found)} > {share:g}% of baseline {_ms(normal)}")
    return broken


def _ms(value: timedelta) -> str:
    return f"{value / timedelta(milliseconds=1):.1f}ms"


def case_verdict(measurement: Measurement, slo: Slo, baseline: Measurement | None) -> tuple[Verdict, str]:
    """A measured case's verdict and its reason (empty when passed)."""
    broken = broken_limits(measurement, slo, baseline)
    return (Verdict.FAILED, "; ".join(broken)) if broken else (Verdict.PASSED, "")


def run_verdict(counts: CaseCounts, coverage: Coverage) -> Verdict:
    """Failed when any case failed; else inconclusive unless enough cases were measured; else passed.

    Enough is every one, or what the plan's `coverage` says. Cases that the plan leaves out are not missed.
    """
    if counts.failed:
        return Verdict.FAILED
    wanted = counts.total - counts.excluded - counts.dispensable
    # Rounded: 29 of 100 is 29 %, whatever binary fractions make of it.
    enough = counts.measured >= wanted or round(100 * counts.measured / wanted, 9) >= coverage.at_least
    return Verdict.PASSED if counts.measured and counts.passed == counts.measured and enough else Verdict.INCONCLUSIVE
