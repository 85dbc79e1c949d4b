"""The ground truth: the entry's answers while services are really broken.

No rule and no sidecar is active meanwhile.
"""

import time
from collections.abc import Mapping
from enum import StrEnum

import aiohttp
from pydantic import BaseModel

from lab.services.cluster import Cluster
from lab.services.host import Effect, EffectKind

_FAULT = "truth"
_PATIENCE = aiohttp.ClientTimeout(total=30)


class Broken(StrEnum):
    """How a service is broken, in the words of plans."""

    REMOVE = "remove"
    """Connections are refused."""
    ERROR = "error"
    """Every request is answered with 500."""


_EFFECTS = {Broken.REMOVE: EffectKind.REMOVED, Broken.ERROR: EffectKind.EXCEPTION}


class RealOutcome(BaseModel):
    """The answer to one request to the entry."""

    status: int | None
    """None: no answer."""
    seconds: float
    body: str


async def truth(cluster: Cluster, broken: Mapping[str, Broken]) -> RealOutcome:
    """Break these services, send the entry's request once, and restore them.

    Raises:
        RuntimeError: something else is active and would influence the answer.
    """
    hosts = {service: cluster.hosts[service] for service in broken}
    if any(host.effects or host.sidecar is not None for host in cluster.hosts.values()):
        raise RuntimeError("the ground truth is asked while nothing else is on")
    try:
        for service, host in hosts.items():
            await host.apply(_FAULT, Effect(kind=_EFFECTS[broken[service]]))
        return await _ask_entry(cluster)
    finally:
        for host in hosts.values():
            await host.lift(_FAULT, rollout=False)


async def _ask_entry(cluster: Cluster) -> RealOutcome:
    request = cluster.topology.entry_request()
    url = cluster.address_of(cluster.topology.entry) + request.path
    began = time.monotonic()
    try:
        async with cluster.session.request(request.method, url, timeout=_PATIENCE) as answer:
            body = await answer.text(errors="replace")
            return RealOutcome(status=answer.status, seconds=time.monotonic() - began, body=body)
    except (aiohttp.ClientError, TimeoutError):
        return RealOutcome(status=None, seconds=time.monotonic() - began, body="")
