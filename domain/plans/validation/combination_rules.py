"""Combinations of fields that work alone but not together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from domain.errors import Problem
from domain.plans.plan import Timeouts
from domain.plans.request import Request
from domain.plans.validation.wording import Nearest, did_you_mean, inner_path, shown
from domain.units import format_duration, parse_duration, parse_percent

Raw = dict[Any, Any]
_PERCENTILES = ("p50", "p95", "p99")
_ALL = 100.0


def combination_rules(document: Raw) -> Iterator[Problem]:
    """Report every combination that cannot work."""
    request, slo, timeouts, steady = (
        _mapping(document.get(section)) for section in ("request", "slo", "timeouts", "steady_state")
    )
    longest = _duration(request.get("timeout", Request.model_fields["timeout"].default))
    yield from _never_exceeded(slo, longest)
    yield from _never_reached(request, longest)
    yield from _never_met(_mapping(slo.get("relative_to_baseline")))
    yield from _steady_state(steady, request, longest)
    yield from _too_slow_to_see(document, timeouts, longest)
    yield from _workloads(_mapping(document.get("system")))


def _never_exceeded(slo: Raw, longest: timedelta | None) -> Iterator[Problem]:
    """Report limits above the request's timeout.

    No successful request takes longer than its timeout.
    """
    for name in _PERCENTILES:
        limit = _duration(slo.get(name))
        if limit is not None and longest and limit > longest:
            yield Problem(
                path=f"slo.{name}",
                message=f"{format_duration(limit)} can never be missed: request.timeout is {format_duration(longest)}",
                hint="a request that takes longer counts as an error; lower this, or raise request.timeout",
            )


def _never_reached(request: Raw, longest: timedelta | None) -> Iterator[Problem]:
    """Report partial timeouts that are longer than `request.timeout`.

    The whole request has ended before they are reached.
    """
    for name in ("connect_timeout", "read_timeout"):
        limit = _duration(request.get(name))
        if limit is not None and longest and limit > longest:
            yield Problem(
                path=f"request.{name}",
                message=f"{format_duration(limit)} is longer than request.timeout ({format_duration(longest)})",
                hint="the whole request ends before that: lower it, or leave it out",
            )


def _never_met(relative: Raw) -> Iterator[Problem]:
    for name in _PERCENTILES:
        share = _percent(relative.get(name))
        if share is not None and share < _ALL:
            yield Problem(
                path=f"slo.relative_to_baseline.{name}",
                message=f"{share:g}% of the baseline is less than the baseline, which is a case too and would fail",
                hint="write 100% or more, for example 150%",
            )


def _steady_state(steady: Raw, request: Raw, longest: timedelta | None) -> Iterator[Problem]:
    within = _duration(steady.get("within"))
    share = _percent(steady.get("error_rate"))
    if within is not None and longest and within > longest:
        yield Problem(
            path="steady_state.within",
            message=f"{format_duration(within)} is longer than request.timeout ({format_duration(longest)})",
            hint="a request that takes longer has failed already",
        )
    if share is not None and share >= _ALL:
        message = "a steady state in which every request may fail proves nothing"
        yield Problem(path="steady_state.error_rate", message=message, hint="lower it, or set check: false")
    if isinstance(steady.get("body_contains"), str) and request.get("method") == "HEAD":
        message = "the answer to a HEAD has no body"
        yield Problem(path="steady_state.body_contains", message=message, hint="leave it out, or set request.method")


def _too_slow_to_see(document: Raw, timeouts: Raw, longest: timedelta | None) -> Iterator[Problem]:
    analyze = _duration(timeouts.get("analyze", Timeouts().analyze))
    if analyze is not None and longest is not None and longest > analyze:
        yield Problem(
            path="request.timeout",
            message=f"{format_duration(longest)} is longer than the whole analysis may take",
            hint=f"timeouts.analyze is {format_duration(analyze)}",
        )
    replay = _duration(timeouts.get("replay", Timeouts().replay))
    services = document.get("services")
    for position, service in enumerate(services if isinstance(services, list) else []):
        delay = _duration(_mapping(_mapping(service).get("fault")).get("delay"))
        if delay is not None and replay is not None and delay >= replay:
            yield Problem(
                path=f"services[{position}].fault.delay",
                message=f"{format_duration(delay)} outlasts timeouts.replay ({format_duration(replay)})",
                hint="no answer could be captured while it acts: lower it, or raise timeouts.replay",
            )


def _workloads(system: Raw) -> Iterator[Problem]:
    addresses = _mapping(system.get("services"))
    nearest = Nearest(addresses)
    for name in _mapping(_mapping(system.get("stability")).get("workloads")):
        if addresses and name not in addresses:
            found = nearest.of(name)
            yield Problem(
                path=inner_path("system.stability.workloads", name),
                message=f"{shown(name)} is not in system.services",
                hint=did_you_mean(found) if found else "this maps services to the names of their Deployments",
            )


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
