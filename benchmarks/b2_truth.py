"""Compares the load generator's latencies with those of a server that records how long each answer really took.

Both are latencies of the same requests, so the difference has no random part. It consists of the way over loopback and
through two processes, and of what the load generator adds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.support.frame import Row
from clients.http.requests import PreparedRequest
from clients.load import loop
from clients.load.engine import LoadGenerator
from clients.load.pace import Closed, Open, Pace
from domain.measuring.lateness import late_starts
from domain.measuring.percentiles import nearest_rank
from domain.traffic.exchange import RequestSample

TITLE = "Truth: measured latencies against those of the server"

PERCENTILES = (0.50, 0.95, 0.99)
AIM = 0.01
"""Largest bias aimed at, as a share of the truth."""
SECONDS = float(os.environ.get("BENCH_SECONDS", "20"))
"""Seconds per distribution and model. For a quick try, set it lower."""
RATE = 100.0
OPEN_P99_US = 500_000
"""During a stall of 1 s in 20 s, one request in twenty waits. So p99 of the open model is nearly the whole stall."""


@contextmanager
def truth_server() -> Iterator[str]:
    """Run a truth server, and yield its address."""
    command = [sys.executable, "-m", "benchmarks.support.truth_server"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        assert running.stdout is not None
        yield f"http://127.0.0.1:{int(running.stdout.readline())}"
    finally:
        running.terminate()
        running.wait()


async def measured(url: str, path: str, pace: Pace, requests: int) -> tuple[list[RequestSample], list[int]]:
    """Send requests. Return their samples, and the server's times for them in microseconds."""
    async with LoadGenerator() as load:
        await load.block(_request(url + "/fixed"), pace, 50)
        await load.send_and_read(_request(url + "/truth"))
        samples = await load.block(_request(url + path), pace, requests)
        failed = [sample.error_kind for sample in samples if sample.error_kind]
        assert not failed, failed[0]
        _, body = await load.send_and_read(_request(url + "/truth"))
    waited = [nanoseconds // 1_000 for nanoseconds in json.loads(body)]
    assert len(waited) == len(samples)
    return samples, waited


def _request(url: str) -> PreparedRequest:
    return PreparedRequest(method="GET", url=url, headers={}, body=None, timeout=10.0)


def biased(name: str, samples: Sequence[RequestSample], waited: Sequence[int], *, aimed: bool) -> Iterator[Row]:
    """Yield one row per percentile: the measured latency, and its ratio to the truth."""
    seen, truth = sorted(sample.latency_us for sample in samples), sorted(waited)
    for percentile in PERCENTILES:
        observed, real = nearest_rank(seen, percentile), nearest_rank(truth, percentile)
        bias = observed / real - 1
        yield Row(
            f"{name}: p{percentile * 100:.0f}",
            f"{observed / 1e3:.3f} ms, truth {real / 1e3:.3f} ms, bias {bias:+.2%} ({observed - real:+} µs)",
            observed / real,
            f"within {AIM:.0%}" if aimed else "",
            abs(bias) <= AIM if aimed else None,
        )


async def _measure_all(url: str) -> list[Row]:
    rows: list[Row] = []
    late = sent = 0
    for path, aimed in (("/fixed", True), ("/lognormal", True), ("/tail", False)):
        for name, pace in (("open", Open(RATE, seed=1)), ("closed", Closed(1))):
            took = 0.005 if path != "/lognormal" else 0.023
            requests = round(SECONDS * (RATE if isinstance(pace, Open) else 1 / took))
            samples, waited = await measured(url, path, pace, requests)
            rows += biased(f"{path[1:]}, {name}", samples, waited, aimed=aimed)
            if isinstance(pace, Open):
                late, sent = late + late_starts(samples), sent + len(samples)
    rows += await _stall(url)
    rows.append(Row("open: late starts", f"{late} of {sent}", late / sent, "at most 0.1 %", late / sent <= 0.001))
    return rows


async def _stall(url: str) -> list[Row]:
    requests = round(max(SECONDS, 5) * RATE)
    samples, waited = await measured(url, "/stall", Open(RATE, "constant"), requests)
    rows = list(biased("one stall of 1 s, open", samples, waited, aimed=False))
    opened = nearest_rank(sorted(sample.latency_us for sample in samples), 0.99)
    samples, _ = await measured(url, "/stall", Closed(1), requests)
    closed = nearest_rank(sorted(sample.latency_us for sample in samples), 0.99)
    shown = Row(
        "one stall of 1 s: p99 of the open model over p99 of the closed model",
        f"{opened / 1e3:.0f} ms and {closed / 1e3:.1f} ms",
        opened / closed,
        f"open at least {OPEN_P99_US // 1_000} ms",
        opened >= OPEN_P99_US,
        note="the closed model has one request in flight, so only one meets the stall. The requests that an open model "
        "sends meanwhile are never sent",
    )
    return [*rows, shown]


def main() -> list[Row]:
    """Measure on the event loop of the load process."""
    with truth_server() as url:
        return loop.run(_measure_all(url))
