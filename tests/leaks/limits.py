"""Without any worker: the peers' own time limits end everything, and what is promised of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from lab import Kind
from tests.e2e.bench import Bench, until
from tests.leaks import checker
from workflows.contracts.plan import Plan
from workflows.logic.durations import calls_ttl, fault_ttl, recording_ttl, rules_ttl

BY_THE_PROMISE = timedelta(seconds=30)
"""After the peers' own time limit, at the latest, everything is off: without any worker."""

SHORT: dict[str, Any] = {"fault_running": "2s", "replay": "4s", "analyze": "8s"}
SHORT |= {"rules_ready": "1s", "rules_ttl": "10s", "stability": "5s", "recovery": "10s"}


def with_short_limits(plan: dict[str, Any]) -> dict[str, Any]:
    """The same, but for limits that a test can wait for."""
    times = {"timeouts": SHORT, "safety": {"fault_ttl": "36s"}, "request": plan["request"] | {"timeout": "1s"}}
    return plan | times


async def off_by_limits(bench: Bench, plan: dict[str, Any]) -> list[str]:
    """Wait until everything is off although nobody switches it off; what took longer than is promised."""

    async def all_off() -> bool:
        return not checker.still_on(await checker.look(bench.lab.addresses.admin))

    longest = max(_limit_of(kind, plan) for kind in Kind) + BY_THE_PROMISE
    await until(all_off, "everything off without a worker", patience=longest.total_seconds() + 30)
    log = (await checker.look(bench.lab.addresses.admin)).log
    latest = [(one, one.on_at.utc + _limit_of(one.kind, plan) + BY_THE_PROMISE) for one in log]
    return [late for one, moment in latest for late in checker.later_than([one], moment)]


def _limit_of(kind: Kind, plan: dict[str, Any]) -> timedelta:
    """The time limit that a run gives to what it switches on."""
    checked = Plan.model_validate(plan)
    # The log does not say which recordings are of the analysis: these are the longer ones.
    recordings = max(recording_ttl(checked), calls_ttl(checked))
    limits = {Kind.RECORDING: recordings, Kind.FAULT: fault_ttl(checked), Kind.RULES: rules_ttl(checked, 4)}
    return limits[kind]
