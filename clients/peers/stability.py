"""The stability interface, and its implementation by readiness paths."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Protocol

from clients.http.reader import Limits, NoAnswerError, fetch, usable_address
from domain.executions.windows import ServiceStability
from domain.plans.system import HttpStability

SAMPLE_TIMEOUT = 2.0
"""Timeout of one readiness call, in seconds."""


class StabilityClient(Protocol):
    """A way to determine stability."""

    async def wait_until_stable(self, service: str, *, longest: timedelta, every: timedelta) -> ServiceStability:
        """Wait until the service is stable or `longest` is over.

        Both are results: running out of time is not an error.
        """
        ...


class HttpStabilityClient:
    """Stability by a service's readiness path.

    A service is stable when the path answers 2xx several times in a row. A single good answer proves little.
    """

    def __init__(self, addresses: dict[str, str], spec: HttpStability) -> None:
        self._addresses = addresses
        self._spec = spec

    async def wait_until_stable(self, service: str, *, longest: timedelta, every: timedelta) -> ServiceStability:
        """Poll until enough answers in a row are good, tolerating any failure."""
        address = self._addresses.get(service)
        if address is None:
            # The plan is a stored one that could be read only in part.
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
            good = good + 1 if isinstance(seen, int) and 200 <= seen < 300 else 0
            waited = round(time.monotonic() - started, 3)
            if good >= self._spec.consecutive:
                return ServiceStability(service=service, stable=True, waited_seconds=waited, detail=str(seen))
            if time.monotonic() >= end:
                detail = f"{self._spec.path}: {seen}"
                return ServiceStability(service=service, stable=False, waited_seconds=waited, detail=detail)
            await asyncio.sleep(min(every.total_seconds(), max(0.0, end - time.monotonic())))


async def answer_of(url: str, within: timedelta) -> str:
    """Call an address once; return the status or the error's name.

    A redirect counts as an answer.
    """
    return str(await _sample(url, within.total_seconds()))


def _why_unaskable(url: str) -> str:
    """Return why an address is unusable; empty if it is usable.

    No request can be built for an unusable address, however often it is tried.
    """
    try:
        usable_address(url)
    except NoAnswerError as error:
        return error.name
    return ""


async def _sample(url: str, seconds: float) -> int | str:
    """Return the status, or the error's name, without reading the body."""
    try:
        return (await fetch("GET", url, Limits(seconds=seconds, body=None))).status
    except NoAnswerError as error:
        return error.name
