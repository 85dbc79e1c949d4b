"""Rules for `load` and `slo` together.

They check how much is sent, and whether it can be judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from domain.errors import Problem
from domain.plans.exclusions import listed_cases
from domain.plans.plan import Load
from domain.plans.request import Request
from domain.plans.slo import Percentile, Regression, RelativeLimits, Slo, SloOverride
from domain.units import format_duration, parse_duration, parse_percent, parse_rate

LEAST_SUCCESSES = {Percentile.P50: 5, Percentile.P95: 59, Percentile.P99: 299}
"""Minimum number of successes that allow a statement about a percentile. With fewer there is none, whatever the
latencies are (`measuring` section 2)."""

_LONGEST_LOAD = timedelta(days=3650)
_HALF = 50.0
_ALL = 100.0
_PERCENTILES = ("p50", "p95", "p99")
_LIMITS = (*_PERCENTILES, "error_rate")

Raw = dict[Any, Any]


def load_rules(document: Raw) -> Iterator[Problem]:
    """Report every broken rule of `load` and `slo`."""
    load = _mapping(document.get("load"))
    slo = document.get("slo")
    yield from _exclusive_fields(load)
    yield from _too_long(load, document)
    yield from _shares(load)
    if isinstance(slo, dict):
        yield from _some_threshold(slo)
        yield from _stopping(load, slo)
        yield from _regression(_mapping(slo.get("regression")))
        yield from _too_few(load, slo)
        yield from _overrides(slo, document)


def _exclusive_fields(load: Raw) -> Iterator[Problem]:
    """Report fields that exclude each other, and `arrivals` without a rate."""
    if load.get("max_requests") is not None and load.get("requests") is not None:
        message = "cannot be combined with load.requests, which are all sent"
        yield Problem(path="load.max_requests", message=message, hint="leave out one of the two")
    if load.get("rate") is not None and load.get("concurrency") is not None:
        message = (
            "cannot be combined with load.concurrency: requests begin when they are due, however many are in flight"
        )
        yield Problem(path="load.rate", message=message, hint="leave out one of the two")
    if load.get("rate") is None and load.get("arrivals") is not None:
        message = "sets when requests begin, which needs a rate"
        yield Problem(path="load.arrivals", message=message, hint="add rate, for example 20/s, or leave it out")


def _too_long(load: Raw, document: Raw) -> Iterator[Problem]:
    """Report a load test that might take longer than anybody waits."""
    services = document.get("services")
    count = len(services) if isinstance(services, list) else 0
    timeout = _duration(_mapping(document.get("request")).get("timeout", Request.model_fields["timeout"].default))
    place, requests = _most_requests(load)
    concurrency = load.get("concurrency", Load().concurrency)
    rate = _rate(load.get("rate"))
    if not (isinstance(requests, int) and isinstance(concurrency, int) and timeout and requests > 0 < concurrency):
        return
    cases = 1 + count + count * (count - 1) // 2
    rounds = -(-requests // concurrency) * cases
    seconds = requests * cases / rate if rate else 0
    if (not rate and rounds > _LONGEST_LOAD / timeout) or seconds > _LONGEST_LOAD.total_seconds():
        when = "at this rate" if rate else "if all time out"
        lower = "raise load.rate" if rate else "lower request.timeout"
        yield Problem(
            path=f"load.{place}",
            message=f"{requests} requests for each of {cases} cases may take more than 10 years {when}",
            hint=f"lower load.{place}, {lower}, or test fewer services in one plan",
        )


def _shares(load: Raw) -> Iterator[Problem]:
    """Report more batches at once than requests in flight.

    In the closed model, every batch that is measured has at least one request in flight.
    """
    at_once = load.get("batches_at_once")
    concurrency = load.get("concurrency", Load().concurrency)
    known = isinstance(at_once, int) and isinstance(concurrency, int) and load.get("rate") is None
    if known and 1 <= concurrency < at_once:
        yield Problem(
            path="load.batches_at_once",
            message=f"{at_once} batches cannot share {concurrency} requests in flight (load.concurrency)",
            hint=f"write at most {concurrency}: the system never gets more at once than load.concurrency allows",
        )


def _most_requests(load: Raw) -> tuple[str, object]:
    """Return the name and value of the field that limits requests."""
    most = load.get("max_requests")
    return ("requests", load.get("requests", Load().requests)) if most is None else ("max_requests", most)


def _some_threshold(slo: Raw) -> Iterator[Problem]:
    relative = _mapping(slo.get("relative_to_baseline"))
    thresholds = [slo.get(name) for name in (*_LIMITS, "regression")]
    known = slo.keys() <= _fields(Slo) and relative.keys() <= RelativeLimits.model_fields.keys()
    # An unknown field was meant as a threshold, and is reported already.
    if known and all(threshold is None for threshold in [*thresholds, *relative.values()]):
        yield Problem(
            path="slo",
            message="has no threshold, so every case would pass",
            hint="set at least one of p50, p95, p99, error_rate, relative_to_baseline, regression",
        )


def _stopping(load: Raw, slo: Raw) -> Iterator[Problem]:
    only_maximum = load.get("max_requests") is not None and load.get("requests") is None
    if only_maximum and slo.get("regression") is None:
        yield Problem(
            path="load.max_requests",
            message="ends a case when its comparison with the baseline is decided, but the plan has no comparison",
            hint="add slo.regression, for example {margin: 10%}, or write requests instead",
        )


def _regression(regression: Raw) -> Iterator[Problem]:
    for name, least, most in (("confidence", _HALF, _ALL), ("false_alarms", 0.0, _HALF), ("misses", 0.0, _HALF)):
        share = _percent(regression.get(name))
        if share is not None and not least < share < most:
            yield Problem(
                path=f"slo.regression.{name}",
                message=f"must be above {least:g}% and below {most:g}%, not {share:g}%",
                hint=f"{_PURPOSES[name]}; leave it out for {Regression.model_fields[name].default:g}%",
            )


_PURPOSES = {
    "confidence": "how sure the interval on the ratio is",
    "false_alarms": "how often a run may find a regression where there is none",
    "misses": "how often a case that is clearly slower may pass",
}


def _too_few(load: Raw, slo: Raw) -> Iterator[Problem]:
    """Report a comparison that could only be `inconclusive`."""
    regression, (place, requests) = slo.get("regression"), _most_requests(load)
    if not isinstance(regression, dict) or not isinstance(requests, int) or isinstance(requests, bool):
        return
    name = regression.get("percentile", Regression().percentile)
    least = LEAST_SUCCESSES[Percentile(name)] if name in list(Percentile) else 0
    if 0 < requests < least:
        yield Problem(
            path=f"load.{place}",
            message=f"{requests} requests are too few for {name}, so every case would be inconclusive",
            hint=f"slo.regression needs at least {least} for {name}; several times as many see small differences",
        )


def _overrides(slo: Raw, document: Raw) -> Iterator[Problem]:
    overrides = slo.get("overrides")
    if not isinstance(overrides, list):
        return
    yield from listed_cases("slo.overrides", overrides, document, field="for")
    longest = _duration(_mapping(document.get("request")).get("timeout", Request.model_fields["timeout"].default))
    for position, override in enumerate(overrides):
        if isinstance(override, dict) and override.keys() <= _fields(SloOverride):
            yield from _override(f"slo.overrides[{position}]", override, longest)


def _override(path: str, override: Raw, longest: timedelta | None) -> Iterator[Problem]:
    given = [name for name in (*_LIMITS, "budget") if override.get(name) is not None]
    if not given:
        hint = "set at least one of p50, p95, p99, error_rate, budget"
        yield Problem(path=path, message="has no effect", hint=hint)
    for name in given:
        limit = _duration(override[name]) if name != "error_rate" else None
        if name in _PERCENTILES and "budget" in given:
            message = "has no effect beside a budget, which replaces it"
            yield Problem(path=f"{path}.{name}", message=message, hint="leave out one of the two")
        elif limit is not None and longest and limit > longest:
            yield Problem(
                path=f"{path}.{name}",
                message=f"{format_duration(limit)} can never be missed: request.timeout is {format_duration(longest)}",
                hint="a request that takes longer counts as an error; lower this, or raise request.timeout",
            )


def _fields(model: type[Slo | SloOverride]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _mapping(value: Any) -> Raw:
    return value if isinstance(value, dict) else {}


def _duration(value: object) -> timedelta | None:
    try:
        return parse_duration(value)
    except ValueError:
        return None


def _percent(value: object) -> float | None:
    try:
        return parse_percent(value)
    except ValueError:
        return None


def _rate(value: object) -> float | None:
    try:
        return parse_rate(value)
    except ValueError:
        return None
