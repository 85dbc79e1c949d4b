"""Stability as the cluster reports it.

The Deployment must be rolled out, and its pods must stay the same for the plan's `hold`.
"""

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
"""Timeout of each of a look's two calls, in seconds.

It is short, because the next look is worth more than one that stalls.
"""

_SHOWN = 300


class KubernetesStabilityClient:
    """Stability by a service's Deployment.

    A service is stable when every look during `hold` found its Deployment rolled out and unchanged.
    """

    def __init__(self, workloads: Workloads, spec: KubernetesStability) -> None:
        self._workloads = workloads
        self._spec = spec

    async def wait_until_stable(self, service: str, *, longest: timedelta, every: timedelta) -> ServiceStability:
        """Look until the service has been stable for `hold`, at least once.

        A look that fails resets the calm, like a look that finds a problem: we do not know what happened meanwhile. It
        does not end the wait, and is reported only at the end. That holds even for an absent Deployment (which may be
        recreated), missing rights and an unreachable cluster. All of these are checked before anything is switched on,
        and closing has no alternative to looking again.
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
        """Look again; return the calm after it, or why there is none."""
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
