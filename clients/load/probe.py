"""Probes: what a run sends repeatedly to measure the system.

There is one kind today, the plan's request. All measuring goes through this interface, so that a new kind (such as a
journey of several steps) changes nothing in the code that measures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from clients.http.requests import PreparedRequest, prepare
from clients.load.engine import LoadGenerator
from clients.load.pace import Pace
from clients.load.sending import LastAnswer
from clients.load.warming import WarmUp
from clients.secrets.values import Secrets
from clients.telemetry.tracing import TRACEPARENT, current_spans
from domain.plans.request import Request
from domain.traffic.exchange import RequestSample

if TYPE_CHECKING:
    from clients.telemetry.spans import RequestSpans


class PreparedProbe(Protocol):
    """A probe with its secrets and its baggage, ready to be sent any number of times.

    Holds secrets: never store or log it.
    """

    async def send_once(self) -> RequestSample:
        """Send it once. See `LoadGenerator.send_once`."""
        ...

    async def send_and_read(self) -> tuple[RequestSample, str]:
        """Send it once; return its sample and the body of the answer. See `LoadGenerator.send_and_read`."""
        ...

    async def block(
        self,
        pace: Pace,
        requests: int,
        *,
        last: LastAnswer | None = None,
        began_ns: int | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[RequestSample]:
        """Send it `requests` times at a pace. See `LoadGenerator.block`."""
        ...

    async def warm_up(self, pace: Pace, at_most: int) -> WarmUp:
        """Send it until the system is warm. See `LoadGenerator.warm_up`."""
        ...


class Probe(Protocol):
    """Something to send, before its secrets are resolved."""

    def prepare(self, baggage: str | None, case: str | None = None) -> PreparedProbe:
        """Resolve secrets and set the baggage header; None sends none.

        `case` names the case of the load test that it is sent for. Then a share of the requests is traced, else all.

        Raises:
            HoldfastError: SECRET_MISSING when a reference has no value.
        """
        ...


@dataclass(frozen=True)
class RequestProbe:
    """The request of a plan."""

    request: Request
    secrets: Secrets
    load: LoadGenerator

    def prepare(self, baggage: str | None, case: str | None = None) -> PreparedProbe:
        """Prepare the request. See `Probe.prepare`."""
        return _PreparedRequestProbe(prepare(self.request, self.secrets, baggage), self.load, self._spans(case))

    def _spans(self, case: str | None) -> RequestSpans | None:
        spans = current_spans()
        # A plan that names its own trace keeps it.
        if spans is None or any(name.lower() == TRACEPARENT for name in self.request.headers):
            return None
        # The address as written: references to secrets stay references.
        facts = {"holdfast.case": case} if case else {}
        return spans.requests(str(self.request.method), self.request.url, facts, every=case is None)


@dataclass(frozen=True, repr=False)
class _PreparedRequestProbe:
    request: PreparedRequest
    load: LoadGenerator
    spans: RequestSpans | None

    async def send_once(self) -> RequestSample:
        return await self.load.send_once(self.request, self.spans)

    async def send_and_read(self) -> tuple[RequestSample, str]:
        return await self.load.send_and_read(self.request, self.spans)

    async def block(
        self,
        pace: Pace,
        requests: int,
        *,
        last: LastAnswer | None = None,
        began_ns: int | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> list[RequestSample]:
        return await self.load.block(
            self.request, pace, requests, last=last, began_ns=began_ns, on_progress=on_progress, spans=self.spans
        )

    async def warm_up(self, pace: Pace, at_most: int) -> WarmUp:
        return await self.load.warm_up(self.request, pace, at_most, self.spans)
