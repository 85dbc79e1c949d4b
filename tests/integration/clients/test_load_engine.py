"""The load generator's paces: closed, open and warm-up, with lateness, and stalls that cannot hide."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from statistics import mean

import pytest
from aiohttp import web

from clients.load.engine import LoadGenerator
from clients.load.pace import Closed, Open, planned
from clients.load.sending import LastAnswer
from clients.load.warming import WINDOW
from domain.measuring.percentiles import nearest_rank
from tests.support.clients.fixtures import Peer
from tests.support.clients.requests import request

STALL = 1.0


class Stalling:
    """Answers at once, except for one stall in which no request is answered."""

    def __init__(self, at: int) -> None:
        self.at, self.asked, self.met = at, 0, 0
        self.over: asyncio.Future[None] | None = None

    async def __call__(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        if self.asked == self.at:
            self.over = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_later(STALL, self.over.set_result, None)
        if self.over is not None:
            self.met += not self.over.done()
            await self.over
        return web.Response()


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
async def test_a_stall_shows_in_the_open_models_p99(peer: Peer, arrivals: str) -> None:
    """Of 300 requests at 100/s about 100 fall due during the stall of 1 s.

    Each of them counts its wait. In the closed model with one request in flight, a single request meets the stall, and
    p99 shows nothing wrong.
    """
    peer.answers["GET /x"] = Stalling(at=100)
    patient = request(f"{peer.url}/x", timeout=60.0)
    async with LoadGenerator() as load:
        samples = await load.block(patient, Open(100, arrivals, seed=1), 300)
    latencies = sorted(sample.latency_us for sample in samples)
    assert not [sample for sample in samples if sample.error_kind]
    assert nearest_rank(latencies, 0.99) > 500_000
    assert peer.answers["GET /x"].met > 3
    peer.answers["GET /x"] = Stalling(at=100)
    async with LoadGenerator() as load:
        samples = await load.block(patient, Closed(1), 150)
    assert max(sample.latency_us for sample in samples) >= STALL * 0.99e6
    assert peer.answers["GET /x"].met == 1


async def test_a_request_that_waits_for_a_free_slot_is_late_and_its_wait_counts(peer: Peer) -> None:
    """The bound on requests in flight is kept. Its cost is part of the latency, and is reported as lateness."""
    active, most = 0, 0

    async def slow(_: web.Request) -> web.StreamResponse:
        nonlocal active, most
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.05)
        active -= 1
        return web.Response()

    peer.answers["GET /x"] = slow
    async with LoadGenerator() as load:
        samples = await load.block(request(f"{peer.url}/x"), Open(1_000, "constant", in_flight=2), 10)
    assert most == 2
    last = max(samples, key=lambda sample: sample.offset_us)
    assert last.offset_us - min(sample.offset_us for sample in samples) == 9_000
    # Four pairs of 50 ms each came before it, starting at most 9 ms before it was due.
    assert last.late_us >= 150_000
    assert all(sample.latency_us >= sample.late_us + 45_000 for sample in samples)


async def test_a_closed_model_is_never_late(peer: Peer) -> None:
    """There is no schedule to be late for: a request begins when it begins."""
    peer.answers["GET /x"] = "ok"
    began = time.perf_counter_ns()
    last = LastAnswer()
    async with LoadGenerator() as load:
        first = await load.block(request(f"{peer.url}/x"), Closed(2), 5, began_ns=began, last=last)
        second = await load.block(request(f"{peer.url}/x"), Closed(2), 5, began_ns=began, last=last)
    assert {sample.late_us for sample in first + second} == {0}
    assert max(sample.offset_us for sample in first) < min(sample.offset_us for sample in second)
    assert (last.status, last.text) == (200, "ok")


def test_arrivals_are_constant_or_poisson_as_named() -> None:
    """Constant arrivals come in equal steps. Poisson arrivals have the same mean, and repeat for the same seed."""
    steps = list(planned(Open(250, "constant"), 4))
    assert steps == [0, 4_000_000, 8_000_000, 12_000_000]
    first, again, reseeded = (list(planned(Open(250, seed=seed), 4_000)) for seed in (7, 7, 8))
    assert first == again != reseeded
    assert first == sorted(first)
    gaps = [after - before for before, after in pairwise(first)]
    assert mean(gaps) == pytest.approx(4_000_000, rel=0.05)
    # An exponential distribution is as wide as its mean.
    assert mean((gap - mean(gaps)) ** 2 for gap in gaps) ** 0.5 == pytest.approx(mean(gaps), rel=0.1)


async def test_the_warm_up_ends_when_two_blocks_agree(peer: Peer) -> None:
    """It waits while a system becomes faster, and ends at its bound if no two blocks agree."""
    asked = 0

    async def warming(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.06 if asked <= 2 * WINDOW else 0.03)
        return web.Response()

    async def jumping(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.02 if (asked - 1) // WINDOW % 2 else 0.05)
        return web.Response()

    pace = Closed(10)
    async with LoadGenerator() as load:
        peer.answers["GET /x"] = warming
        warm = await load.warm_up(request(f"{peer.url}/x"), pace, 20 * WINDOW)
        asked = 0
        peer.answers["GET /x"] = jumping
        cold = await load.warm_up(request(f"{peer.url}/x"), pace, 2 * WINDOW + 20)
        asked = 0
        none = await load.warm_up(request(f"{peer.url}/x"), pace, 0)
    assert warm.agreed
    assert warm.requests % WINDOW == 0
    assert (cold.agreed, cold.requests) == (False, 2 * WINDOW + 20)
    assert (none.agreed, none.requests, asked) == (False, 0, 0)
