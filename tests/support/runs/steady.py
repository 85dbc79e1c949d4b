"""The lab's counters, and a service broken by somebody else."""

from __future__ import annotations

from clients.peers.faults import FaultClient
from domain.faults.chaosblade.expansion import expand
from tests.support.http import http_client
from tests.support.runs.bench import Bench

NEVER = 3600
"""Lifetime in seconds of a fault that no test waits for."""


async def counters(bench: Bench) -> dict[str, dict[str, int]]:
    async with http_client() as client:
        return (await client.get(f"{bench.lab.addresses.admin}/lab/counters")).json()  # type: ignore[no-any-return]


async def break_for_good(bench: Bench) -> None:
    """Remove the storefront as somebody else would who does not put it back."""
    fault = expand("remove", "storefront", bench.lab.addresses.namespace)
    async with FaultClient(bench.lab.addresses.faults) as faults:
        await faults.execute("somebody-else", NEVER, fault.experiment)
