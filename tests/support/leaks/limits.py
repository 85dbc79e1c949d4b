"""The peers' own time limits, which end everything without any worker, and what is promised of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from domain.plans.durations import calls_ttl, fault_ttl, recording_ttl, rules_ttl
from domain.plans.plan import Plan
from lab import Kind
from tests.support.leaks import checker
from tests.support.runs.bench import Bench, until

BY_THE_PROMISE = timedelta(seconds=30)
"""Longest time after the peers' own limit until everything is off. No worker is needed."""

SHORT: dict[str, Any] = {"fault_running": "2s", "replay": "4s", "analyze": "8s"}
SHORT |= {"rules_ready": "1s", "rules_ttl": "10s", "stability": "5s", "recovery": "10s"}


def with_short_limits(plan: dict[str, Any]) -> dict[str, Any]:
    """Return the plan with limits that a test can wait for."""
    times = {"timeouts": SHORT, "safety": {"fault_ttl": "36s"}, "request": plan["request"] | {"timeout": "1s"}}
    return plan | times


async def off_by_limits(bench: Bench, plan: dict[str, Any]) -> list[str]:
    """Wait until everything is off although nobody switches it off. Returns what took longer than promised."""

    async def all_off() -> bool:
        return not checker.still_on(await checker.look(bench.lab.addresses.admin))

    longest = max(_limit_of(kind, plan) for kind in Kind) + BY_THE_PROMISE
    await until(all_off, "everything off without a worker", patience=longest.total_seconds() + 30)
    log = (await checker.look(bench.lab.addresses.admin)).log
    latest = [(entry, entry.on_at.utc + _limit_of(entry.kind, plan) + BY_THE_PROMISE) for entry in log]
    return [late for entry, moment in latest for late in checker.later_than([entry], moment)]


def _limit_of(kind: Kind, plan: dict[str, Any]) -> timedelta:
    """Return the time limit that a run gives to what it switches on."""
    checked = Plan.model_validate(plan)
    # The log does not distinguish recordings of the analysis from those of calls, so take the longer limit.
    recordings = max(recording_ttl(checked), calls_ttl(checked))
    limits = {Kind.RECORDING: recordings, Kind.FAULT: fault_ttl(checked), Kind.RULES: rules_ttl(checked, 4)}
    return limits[kind]
