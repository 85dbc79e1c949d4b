"""Runs one client against one address, in its own process:
`python -m benchmarks.support.client_process CLIENT CONNECTIONS SECONDS URL`.

Every client keeps its connections, follows no redirects, reads the whole body, counts answers other than 200 as failed,
and has a timeout of ten seconds per request, as our own client has. Each is used as its documentation recommends. Only
the floor looks at nothing.
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
OK = 200
Send = Callable[[], Awaitable[int]]
"""Sends one request, and returns the status of the answer."""


@dataclass(frozen=True)
class ClientResult:
    """What a client measured."""

    rate: float
    """Requests per second."""
    p50: float
    p99: float
    """Both in seconds."""
    failed: int = 0
    """Requests without an answer of status 200."""


def summarise(latencies: list[float], seconds: float, failed: int = 0) -> ClientResult:
    """Summarise latencies. Percentiles are by nearest rank."""
    ordered = sorted(latencies)
    ranks = (max(0, -(-share * len(ordered) // 100) - 1) for share in (50, 99))
    p50, p99 = (ordered[rank] for rank in ranks)
    return ClientResult(len(ordered) / seconds, p50, p99, failed)


async def run_closed_model(send: Send, connections: int, seconds: float) -> ClientResult:
    """Send in the closed model: on each connection, the next request starts when the last one has ended."""
    latencies: list[float] = []
    failed = 0
    started = time.perf_counter()
    end = started + seconds

    async def work() -> None:
        nonlocal failed
        while (begin := time.perf_counter()) < end:
            status = await send()
            failed += status != OK
            latencies.append(time.perf_counter() - begin)

    await asyncio.gather(*(work() for _ in range(connections)))
    return summarise(latencies, time.perf_counter() - started, failed)


async def of_holdfast(url: str, connections: int, seconds: float) -> ClientResult:
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
        failed = sum(bool(sample.error_kind) or sample.status != OK for sample in samples)
        return summarise([sample.latency_us / 1e6 for sample in samples], time.perf_counter() - begin, failed)


async def of_aiohttp(url: str, connections: int, seconds: float) -> ClientResult:
    import aiohttp
    from yarl import URL

    address, limit = URL(url, encoded=True), aiohttp.ClientTimeout(total=LIMIT)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def send() -> int:
            async with session.get(address, allow_redirects=False, timeout=limit) as answer:
                await answer.read()
                return answer.status

        return await run_closed_model(send, connections, seconds)


async def of_pyreqwest(url: str, connections: int, seconds: float) -> ClientResult:
    from pyreqwest.client import ClientBuilder

    builder = ClientBuilder().follow_redirects(enable=False).timeout(timedelta(seconds=LIMIT))
    async with builder.build() as client:

        async def send() -> int:
            answer = await client.get(url).build().send()
            await answer.bytes()
            return answer.status

        return await run_closed_model(send, connections, seconds)


async def of_httpx(url: str, connections: int, seconds: float) -> ClientResult:
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(timeout=LIMIT, limits=limits, trust_env=False) as client:

        async def send() -> int:
            return (await client.get(url)).status_code

        return await run_closed_model(send, connections, seconds)


def of_locust(url: str, connections: int, seconds: float) -> ClientResult:
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
    failed = 0

    def note(response_time: float, response: object, **_: object) -> None:
        nonlocal failed
        latencies.append(response_time / 1e3)
        failed += getattr(response, "status_code", 0) != OK

    environment.events.request.add_listener(note)
    runner = environment.create_local_runner()
    runner.start(connections, spawn_rate=connections)
    gevent.sleep(1)
    latencies.clear()
    failed = 0
    begin = time.perf_counter()
    gevent.sleep(seconds)
    result = summarise(latencies, time.perf_counter() - begin, failed)
    runner.quit()
    return result


async def of_bytes_only(url: str, connections: int, seconds: float) -> ClientResult:
    """Bytes out and in, as the floor of all clients in Python."""
    from benchmarks.support.floor import floor

    return summarise(*await floor(url, connections, seconds))


OURS, UVLOOP, ASYNCIO, FLOOR = "holdfast", "+uvloop", "+asyncio", "bytes only"
ASYNC = {
    OURS: of_holdfast,
    FLOOR: of_bytes_only,
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
