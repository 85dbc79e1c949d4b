"""Stability as the cluster shows it: the Deployment is rolled out, and its pods stay the same for the plan's `hold`."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from clients.kubernetes.workloads import Workloads
from domain.errors import HoldfastError
from domain.executions.windows import ServiceStability
from domain.plans.system import KubernetesStability
from domain.stability.rollout import Calm, calm_after, held_for, not_rolled_out
from domain.units import format_duration

CALL_WITHIN = 5.0
"""Seconds for one of the two calls of a look: a look that stalls is worth less than the next one."""

_SHOWN = 300


class KubernetesStabilityClient:
    """A service is stable when its Deployment was rolled out in every look during `hold`, and nothing changed."""

    def __init__(self, workloads: Workloads, spec: KubernetesStability) -> None:
        self._workloads = workloads
        self._spec = spec

    async def wait_until_stable(self, service: str, *, longest: timedelta, every: timedelta) -> ServiceStability:
        """Look until it has held, tolerating whatever goes wrong meanwhile; there is always at least one look.

        A look that fails ends the calm like one that finds trouble: what was not seen is not known. Absence (a
        Deployment may be made again), missing rights and a cluster that is away are all waited out, and told at the
        end: they are looked for before anything is switched on, and closing has no alternative to looking again.
        """
        name = self._spec.workloads.get(service, service)
        hold = self._spec.hold.total_seconds()
        started = time.monotonic()
        end = started + longest.total_seconds()
        calm: Calm | None = None
        trouble = ""
        while True:
            began = time.monotonic()
            calm, why = await self._look(name, calm)
            trouble = why or trouble
            held = held_for(calm, began=began) if calm else 0.0
            now = time.monotonic()
            waited = round(now - started, 3)
            if calm is not None and held >= hold:
                detail = f"deployment {name} rolled out, {len(calm.same[2])} pods the same for {held:.1f} s"
                return ServiceStability(service=service, stable=True, waited_seconds=waited, detail=detail)
            if now >= end:
                detail = why or _too_short(held, self._spec.hold, trouble)
                detail = f"deployment {name}: {detail}"[:_SHOWN]
                return ServiceStability(service=service, stable=False, waited_seconds=waited, detail=detail)
            pause = min(every.total_seconds(), hold - held) if calm else every.total_seconds()
            await asyncio.sleep(min(pause, end - now))

    async def _look(self, name: str, before: Calm | None) -> tuple[Calm | None, str]:
        """The calm after one more look, or why there is none."""
        try:
            seen = await self._workloads.look(name, within=CALL_WITHIN)
        except HoldfastError as error:
            return None, str(error)
        if seen is None:
            return None, f"is not there in namespace {self._workloads.namespace}"
        facts = seen[1]
        return calm_after(before, facts, ended=time.monotonic()), not_rolled_out(facts)


def _too_short(held: float, hold: timedelta, trouble: str) -> str:
    before = f"; before that: {trouble}" if trouble else ""
    return f"all ready, but unchanged only for {held:.1f} s of {format_duration(hold)}{before}"
