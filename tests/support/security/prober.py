"""Run every client that reads from outside against a hostile address, in a process with little memory.

`python -m tests.support.security.prober ADDRESS NAME...` prints a JSON line for each answer.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import BaseModel

from clients.drivers.active import active_faults, sessions_on
from clients.http.reader import Limits
from clients.http.requests import prepare
from clients.kubernetes.connection import Cluster
from clients.kubernetes.workloads import Workloads
from clients.load.engine import LoadGenerator
from clients.load.pace import Closed
from clients.peers import canary, fixtures
from clients.peers.canary import CanaryClient
from clients.peers.faults import FaultClient
from clients.peers.proxy import ProxyClient
from clients.peers.stability import HttpStabilityClient, answer_of
from clients.secrets.values import Secrets
from domain.errors import HoldfastError
from domain.plans.request import Request
from domain.plans.system import HttpStability

SPARE = 600 << 20
"""Bytes of address space beyond what the process has before the first answer."""

SECONDS = 1.0
"""The longest call."""

SHORT = timedelta(seconds=SECONDS)

TICK = 0.01


class Probed(BaseModel):
    """The outcome of one answer."""

    name: str
    outcomes: dict[str, str]
    """By client: a stable code, `value ...`, or `stranger ...`."""
    held: float
    """Longest time in seconds for which the loop was held up, except while it waited for a processor."""
    peak: int
    """Peak memory of the process in bytes."""


def calls(address: str, kubeconfig: str) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return each client's calls against one address."""
    faults, proxy = FaultClient(address, call_timeout=SHORT), ProxyClient(address, call_timeout=SHORT)

    async def loaded() -> object:
        request = prepare(Request.model_validate({"url": address, "timeout": f"{SECONDS}s"}), Secrets({}), None)
        async with LoadGenerator() as load:
            return [answer.status or answer.error_kind for answer in await load.block(request, Closed(2), 3)]

    async def asked() -> object:
        request = prepare(Request.model_validate({"url": address, "timeout": f"{SECONDS}s"}), Secrets({}), None)
        async with LoadGenerator() as load:
            sample, text = await load.send_and_read(request)
            return sample.status, text[:50]

    async def logged_in() -> object:
        login = {"url": address, "json": {}, "token": "access_token"}
        made = Request.model_validate({"url": address, "login": login, "timeout": f"{SECONDS}s"})
        async with LoadGenerator() as load:
            return (await load.send_once(prepare(made, Secrets({}), None))).error_kind

    async def seen() -> object:
        async with CanaryClient() as client:
            return await client.intercepted(address, "hf1x", "a", "chaos.a.remove=1")

    async def stable() -> object:
        client = HttpStabilityClient({"a": address}, HttpStability(path="/health"))
        return (await client.wait_until_stable("a", longest=timedelta(), every=SHORT)).detail

    async def looked() -> object:
        cluster = Cluster({"KUBECONFIG": kubeconfig})
        try:
            return await Workloads(cluster, "shop").look("a", within=SECONDS)
        finally:
            await cluster.aclose()

    return {
        "fault status": lambda: faults.status("hf-1-a-1"),
        "fault namespaces": lambda: faults.namespaces("hf-1-a-1"),
        "fault delete": lambda: faults.delete("hf-1-a-1"),
        "faults on": lambda: active_faults(faults),
        "analysis": lambda: proxy.analysis("t"),
        "replay": lambda: proxy.replay(execution_id=1, namespace="shop", service="a", longest=SHORT),
        "sessions on": lambda: sessions_on(proxy, [("shop", "a")]),
        "rules": lambda: proxy.rules_active(record_id="hf1x", services=["a"]),
        "rules delete": lambda: proxy.delete_rules("hf1x"),
        "stop": lambda: proxy.stop_recording("r", SHORT),
        "canary": seen,
        "stability": stable,
        "health": lambda: answer_of(f"{address}/health", SHORT),
        "load": loaded,
        "ask": asked,
        "login": logged_in,
        "kubernetes": looked,
    }


async def outcome(call: Callable[[], Awaitable[object]]) -> str:
    """Return the outcome of a call in one line."""
    try:
        return f"value {await call()!r}"[:200]
    except HoldfastError as error:
        return str(error.code)
    except Exception as error:
        return f"stranger {type(error).__name__}: {error}"[:300]


async def probe(address: str, name: str, kubeconfig: Path) -> Probed:
    """Run all clients at once against one answer."""
    held = 0.0

    async def tick() -> None:
        nonlocal held
        while True:
            before = _own_time()
            await asyncio.sleep(TICK)
            held = max(held, _own_time() - before)

    there = f"{address}/h/{name}"
    user: dict[str, Any] = {"name": "u", "user": {"token": "t"}}
    cluster = {"name": "c", "cluster": {"server": there}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u"}}
    listed = {"clusters": [cluster], "users": [user], "contexts": [context], "current-context": "x"}
    kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **listed}))
    made = calls(there, str(kubeconfig))
    ticking = asyncio.create_task(tick())
    found = await asyncio.gather(*(outcome(call) for call in made.values()))
    # The last time that the loop is held up counts too.
    await asyncio.sleep(2 * TICK)
    ticking.cancel()
    return Probed(name=name, outcomes=dict(zip(made, found, strict=True)), held=held, peak=peak())


def _own_time() -> float:
    """Read a clock that stops while this thread is ready but must wait for a processor.

    Unlike processor time it goes on while the thread blocks, which holds up the loop just as well.
    """
    waited = int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    return time.monotonic() - waited / 1e9


def peak() -> int:
    """Return the peak memory of this process in bytes.

    Not `ru_maxrss`: a process that a larger process started inherits its value, from before its own program began.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def limit_memory() -> None:
    """Limit the process to `SPARE` bytes more than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    longest = pages * resource.getpagesize() + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (longest, longest))


def report(probed: Probed) -> None:
    """Print the result at once: the next answer may end this process."""
    sys.stdout.write(probed.model_dump_json() + "\n")
    sys.stdout.flush()


async def main(address: str, names: list[str]) -> None:
    """Print the outcome of each answer."""
    canary._LIMITS = Limits(seconds=SECONDS, body=canary._LIMITS.body)
    fixtures.DELETE_TIMEOUT = SHORT
    with TemporaryDirectory() as folder:
        # The first answer makes late imports and threads happen before memory becomes scarce.
        report(await probe(address, names[0], Path(folder) / "config"))
        limit_memory()
        for name in names[1:]:
            report(await probe(address, name, Path(folder) / "config"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
