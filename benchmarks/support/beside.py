"""Runs one client against one address, in its own process: `python -m benchmarks.support.beside CLIENT N SECONDS URL`.

Every client keeps its connections, follows no redirects, reads the whole body, and has a timeout of ten seconds per
request, as our own client has. Each is used as its documentation recommends.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import timedelta

LIMIT = 10.0
Send = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Found:
    """Result of a client."""

    rate: float
    """Requests per second."""
    p50: float
    p99: float
    """Both in seconds."""
    failed: int = 0


def found(latencies: list[float], seconds: float, failed: int = 0) -> Found:
    """Summarise latencies. Percentiles are by nearest rank."""
    ordered = sorted(latencies)
    ranks = (max(0, -(-share * len(ordered) // 100) - 1) for share in (50, 99))
    p50, p99 = (ordered[rank] for rank in ranks)
    return Found(len(ordered) / seconds, p50, p99, failed)


async def closed(send: Send, connections: int, seconds: float) -> Found:
    """Send in the closed model: on each connection, the next request starts when the last one has ended."""
    latencies: list[float] = []
    started = time.perf_counter()
    end = started + seconds

    async def work() -> None:
        while (begin := time.perf_counter()) < end:
            await send()
            latencies.append(time.perf_counter() - begin)

    await asyncio.gather(*(work() for _ in range(connections)))
    return found(latencies, time.perf_counter() - started)


async def of_holdfast(url: str, connections: int, seconds: float) -> Found:
    """Holdfast, called as in the load test: with a sample of every request."""
    from clients.http.requests import PreparedRequest
    from clients.load.engine import LoadGenerator
    from clients.load.pace import Closed

    request = PreparedRequest(method="GET", url=url, headers={}, body=None, timeout=LIMIT)
    async with LoadGenerator() as load:
        begin = time.perf_counter()
        first = await load.block(request, Closed(connections), 2_000)
        requests = round(len(first) * seconds / (time.perf_counter() - begin))
        begin = time.perf_counter()
        samples = await load.block(request, Closed(connections), requests)
        failed = sum(bool(sample.error_kind) for sample in samples)
        return found([sample.latency_us / 1e6 for sample in samples], time.perf_counter() - begin, failed)


async def of_aiohttp(url: str, connections: int, seconds: float) -> Found:
    """aiohttp."""
    import aiohttp
    from yarl import URL

    address, limit = URL(url, encoded=True), aiohttp.ClientTimeout(total=LIMIT)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def send() -> None:
            async with session.get(address, allow_redirects=False, timeout=limit) as answer:
                await answer.read()

        return await closed(send, connections, seconds)


async def of_pyreqwest(url: str, connections: int, seconds: float) -> Found:
    """pyreqwest."""
    from pyreqwest.client import ClientBuilder

    builder = ClientBuilder().follow_redirects(enable=False).timeout(timedelta(seconds=LIMIT))
    async with builder.build() as client:

        async def send() -> None:
            answer = await client.get(url).build().send()
            await answer.bytes()

        return await closed(send, connections, seconds)


async def of_httpx(url: str, connections: int, seconds: float) -> Found:
    """httpx."""
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(timeout=LIMIT, limits=limits, trust_env=False) as client:

        async def send() -> None:
            await client.get(url)

        return await closed(send, connections, seconds)


def of_locust(url: str, connections: int, seconds: float) -> Found:
    """locust with its fast client, used as a library. It has its own event loop (gevent)."""
    import gevent
    from locust import FastHttpUser, task
    from locust.env import Environment

    class User(FastHttpUser):
        host = url.rpartition("/")[0]
        network_timeout = connection_timeout = LIMIT

        @task
        def answer(self) -> None:
            self.client.get("/" + url.rpartition("/")[2], allow_redirects=False)

    environment = Environment(user_classes=[User])
    latencies: list[float] = []
    environment.events.request.add_listener(lambda response_time, **_: latencies.append(response_time / 1e3))
    runner = environment.create_local_runner()
    runner.start(connections, spawn_rate=connections)
    gevent.sleep(1)
    latencies.clear()
    begin = time.perf_counter()
    gevent.sleep(seconds)
    measured, took = list(latencies), time.perf_counter() - begin
    runner.quit()
    return found(measured, took)


async def of_nothing(url: str, connections: int, seconds: float) -> Found:
    """Bytes out and in, as the floor of all clients in Python."""
    from benchmarks.support.floor import floor

    return found(*await floor(url, connections, seconds))


OURS, UVLOOP, ASYNCIO, FLOOR = "holdfast", "+uvloop", "+asyncio", "bytes only"
ASYNC = {
    OURS: of_holdfast,
    FLOOR: of_nothing,
    "aiohttp": of_aiohttp,
    "pyreqwest": of_pyreqwest,
    "httpx": of_httpx,
}


def main() -> None:
    """Run the client, and print its result as JSON."""
    client, connections, seconds, url = sys.argv[1:]
    name = client.removesuffix(UVLOOP).removesuffix(ASYNCIO)
    if name == "locust":
        result = of_locust(url, int(connections), float(seconds))
    else:
        from clients.load import loop

        # Holdfast runs on the event loop of the shipped load process, whichever that is.
        shipped = client in (OURS, FLOOR) or client.endswith(UVLOOP)
        result = (loop.run if shipped else asyncio.run)(ASYNC[name](url, int(connections), float(seconds)))
    print(json.dumps(asdict(result)), flush=True)


if __name__ == "__main__":
    main()
