"""A worker with little memory, hostile services and hostile peers still switches off everything that is active."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from temporalio.client import Client

from domain.executions.windows import LedgerState
from lab import Lab, PortChoice
from tests.support.leaks import checker
from tests.support.leaks.duo import BRISK, LEFT, RIGHT, TOPOLOGY, Duo
from tests.support.paths import ROOT
from tests.support.runs.bench import until
from tests.support.security.hostile_server import bomb
from tests.support.security.relay import Relay, reading, relay

NAMES = [
    "bomb-2-200",
    "bomb-1-500",
    "body-without-end",
    "charset-0",
    "header-without-end",
    "interim-5000",
    "json-3",
    "json-0",
    "length-1-GB",
    "trailers-without-end",
    "reset",
]
AT_PEERS = 6
"""Hostile answers of each peer while windows close, before the peer behaves again."""


async def small_worker(duo: Duo) -> asyncio.subprocess.Process:
    """Start the worker's process."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.security.small_worker",
        cwd=ROOT,
        env=duo.worker_environment | {"MALLOC_ARENA_MAX": "2"},
    )


@pytest.mark.exhaustive
async def test_a_window_closes_while_everything_answers_hostilely(temporal: Client, tmp_path: Path) -> None:
    """Rules are active and load is sent when services and login turn hostile.

    The peers turn hostile as soon as the run is cancelled.
    """
    for layers in (1, 2):
        bomb(layers)
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(Lab(TOPOLOGY, settings=BRISK, ports=PortChoice.FREE))

        async def before(target: str) -> Relay:
            return await stack.enter_async_context(relay(target, NAMES))

        at = lab.addresses
        entry, proxy, faults = [await before(target) for target in (at.entry, at.proxy, at.faults)]
        services = {name: await before(url) for name, url in at.services.items()}
        duo = await stack.enter_async_context(Duo(temporal, lab, tmp_path))
        worker = await small_worker(duo)
        duo._workers.append(worker)
        plan = duo.plan(load={"requests": 5_000, "concurrency": 2})
        del plan["stop"]
        plan["system"] |= {"proxy": proxy.url, "faults": faults.url}
        plan["system"]["services"] = {name: service.url for name, service in services.items()}
        plan["request"] = {
            "url": f"{entry.url}/api/page",
            "timeout": "1s",
            "login": {"url": f"{entry.url}/login", "json": {}, "token": "access_token"},
        }
        handle = await duo.start(plan)

        async def rules_are_on() -> bool:
            state = await duo.status(handle)
            assert state is None or state.error_code is None, state.error_message
            return (await checker.look(at.admin)).counters.upserts > 0 and any(
                row.kind == "rules" and row.state is LedgerState.OPEN for row in await duo.store.ledger.unsettled()
            )

        await until(rules_are_on, "rules on")
        for service in (entry, *services.values()):
            service.hostile = True
        everything = set(NAMES)

        async def all_given() -> bool:
            assert worker.returncode is None
            return everything <= set(entry.given)

        await until(all_given, "every hostile answer to load and login")
        for peer in (proxy, faults):
            peer.hostile, peer.longest, peer.which = True, AT_PEERS, reading
        await handle.cancel()

        async def nothing_is_on() -> bool:
            asked = services[LEFT].given and services[RIGHT].given
            return bool(asked) and not checker.still_on(await checker.look(at.admin))

        await until(nothing_is_on, "everything off, while services and peers are hostile")
        # Only now may the services behave again: the environment is not verified before they do.
        for service in (entry, *services.values()):
            service.hostile = False
        await duo.lock_ended(handle)
        assert worker.returncode is None
        assert len(proxy.given) == AT_PEERS
