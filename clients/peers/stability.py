"""Whether a service is stable, behind one interface; here by its own readiness path."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Protocol

from clients.http.reader import Limits, NoAnswerError, fetch
from clients.http.reader import address as usable_address
from domain.executions.windows import ServiceStability
from domain.plans.system import HttpStability

SAMPLE_TIMEOUT = 2.0
"""Seconds for one readiness answer."""


class StabilityClient(Protocol):
    """However stability is told."""

    async def wait_until_stable(self, service: str, *, longest: timedelta, every: timedelta) -> ServiceStability:
        """Wait until the service is stable or the time is over; both are results."""
        ...


class HttpStabilityClient:
    """A service is stable when its readiness path answers 2xx several times in a row: one good sample proves little."""

    def __init__(self, addresses: dict[str, str], spec: HttpStability) -> None:
        self._addresses = addresses
        self._spec = spec

    async def wait_until_stable(self, service: str, *, longest: timedelta, every: timedelta) -> ServiceStability:
        """Ask until the answers are good, tolerating whatever goes wrong meanwhile."""
        address = self._addresses.get(service)
        if address is None:
            # Of a stored plan that is read in part.
            return ServiceStability(service=service, stable=False, detail="the plan has no address for it")
        url = address.rstrip("/") + self._spec.path
        unaskable = _why_unaskable(url)
        if unaskable:
            detail = f"its readiness address cannot be asked ({unaskable})"
            return ServiceStability(service=service, stable=False, unaskable=True, detail=detail)
        started = time.monotonic()
        end = started + longest.total_seconds()
        good = 0
        while True:
            seen = await _sample(url, SAMPLE_TIMEOUT)
            good = good + 1 if seen.startswith("2") else 0
            waited = round(time.monotonic() - started, 3)
            if good >= self._spec.consecutive:
                return ServiceStability(service=service, stable=True, waited_seconds=waited, detail=seen)
            if time.monotonic() >= end:
                detail = f"{self._spec.path}: {seen}"
                return ServiceStability(service=service, stable=False, waited_seconds=waited, detail=detail)
            await asyncio.sleep(min(every.total_seconds(), max(0.0, end - time.monotonic())))


async def answer_of(url: str, within: timedelta) -> str:
    """Ask an address once: the status, or the name of what went wrong. Redirects are answers."""
    return await _sample(url, within.total_seconds())


def _why_unaskable(url: str) -> str:
    """Why no request can be built for an address, however often it is tried; empty when one can."""
    try:
        usable_address(url)
    except NoAnswerError as error:
        return error.name
    return ""


async def _sample(url: str, seconds: float) -> str:
    """The status, or why there is none. The status is all that is asked: no body is read."""
    try:
        return str((await fetch("GET", url, Limits(seconds=seconds, body=None))).status)
    except NoAnswerError as error:
        return error.name
