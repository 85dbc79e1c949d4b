"""The plan in a report, in full and in words, without secrets.

Plans name their secrets (`${env:NAME}`), and nothing here resolves them. A secret written into the plan itself is
redacted if it stands under a name that `redact` lists or that is always redacted. A report is passed around more widely
than the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from clients.http.request_definitions import DefinitionRedactor, without_secrets
from domain.plans.plan import Plan
from domain.plans.slo import Limits, Percentile
from domain.plans.stop import Stop
from domain.units import format_duration, format_percent, format_rate


def plan_yaml(plan: Plan) -> str:
    """Render every setting of a plan as YAML, in the schema's order.

    Settings that are not given at all are left out.
    """
    shown = plan.model_copy(update={"request": without_secrets(plan), "stop": _stop(plan)})
    document: Any = shown.model_dump(mode="json", by_alias=True, exclude_none=True)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)


def _stop(plan: Plan) -> Stop:
    """Return the stop conditions, with the health URL redacted.

    Like the URL of the request, it may have a query.
    """
    health = plan.stop.health
    if health.url is None:
        return plan.stop
    url = DefinitionRedactor(plan.redact).url(health.url)
    return plan.stop.model_copy(update={"health": health.model_copy(update={"url": url})})


def request_in_words(plan: Plan) -> str:
    """Return method and URL of the request, without the query."""
    parts = urlsplit(plan.request.url)
    return f"{plan.request.method} {urlunsplit((parts.scheme, parts.netloc, parts.path, '', ''))}"


def load_in_words(plan: Plan) -> str:
    """Describe how much load is sent for each case, and how."""
    load = plan.load
    many = f"up to {load.max_requests}" if load.max_requests is not None else str(load.requests)
    if load.rate is not None:
        how = f"{format_rate(load.rate)}, {load.arrivals} arrivals"
    else:
        how = f"{load.concurrency} in flight"
    several = f", {load.batches_at_once} batches at once" if load.batches_at_once > 1 else ""
    warm = f", warmed up by up to {plan.warm_up}" if plan.warm_up else ""
    return f"{many} requests per case, {how}{warm}{several}"


def slo_in_words(plan: Plan) -> list[str]:
    """Describe what a case must meet, one line for each threshold."""
    slo = plan.slo
    lines = list(_limits(slo))
    if slo.relative_to_baseline is not None:
        for percentile in Percentile:
            share = getattr(slo.relative_to_baseline, percentile)
            lines += [f"{percentile} at most {format_percent(share)} of the baseline's"] if share is not None else []
    if slo.regression is not None:
        regression = slo.regression
        least = f", at least {format_duration(regression.at_least)}" if regression.at_least > timedelta(0) else ""
        lines.append(
            f"{regression.percentile} at most {format_percent(regression.margin)} slower than the baseline beside it"
            f"{least} (confidence {format_percent(regression.confidence)})"
        )
    for override in slo.overrides:
        limits = list(_limits(override))
        limits += [f"budget of {format_duration(override.budget)}"] if override.budget is not None else []
        lines.append(f"{override.case}: {', '.join(limits)}")
    return lines


def _limits(limits: Limits) -> Iterator[str]:
    if limits.error_rate is not None:
        yield f"error rate at most {format_percent(limits.error_rate)}"
    for percentile in Percentile:
        limit: timedelta | None = getattr(limits, percentile)
        if limit is not None:
            yield f"{percentile} at most {format_duration(limit)}"
