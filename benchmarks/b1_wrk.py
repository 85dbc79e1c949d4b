"""Compares the load generator with wrk and other clients on the same nginx, at 1, 8 and 64 connections.

Each client runs in its own process, one client at a time, and shares the machine with nginx only. In each round the
clients take turns in random order, so that other work of the machine affects all of them alike. A client's result is
the median of its rounds.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections import defaultdict
from importlib.util import find_spec
from statistics import median

from benchmarks.support.client_process import ASYNCIO, FLOOR, OURS, UVLOOP, ClientResult
from benchmarks.support.frame import Row
from benchmarks.support.nginx import MISSING, nginx, program_path

TITLE = "The load generator against wrk on the same nginx"

CONNECTIONS = (1, 8, 64)
AIMED = 8
MOST_P50, LEAST_RATE = 1.5, 0.5
"""Aims at 8 connections: the largest multiple of wrk's p50, and the smallest share of wrk's rate."""
OTHERS = (f"{OURS}{ASYNCIO}", "aiohttp", f"aiohttp{UVLOOP}", "pyreqwest", f"pyreqwest{UVLOOP}", "httpx", "locust")
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "3"))
"""Seconds per client, number of connections and round. For a quick try, set both variables lower."""

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_PERCENTILE = re.compile(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", re.MULTILINE)
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)$", re.MULTILINE)
_FAILED = re.compile(r"Socket errors|Non-2xx")


def wrk(url: str, connections: int, seconds: float) -> ClientResult:
    """Measure with wrk. It gets one thread, because the other clients have one."""
    command = [
        program_path("wrk") or "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--latency",
        url,
    ]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    assert not _FAILED.search(output), output
    p50, p99 = (float(number) * _UNITS[unit] for _, number, unit in _PERCENTILE.findall(output))
    rate = _RATE.search(output)
    assert rate is not None, output
    return ClientResult(float(rate[1]), p50, p99)


def run_client(client: str, url: str, connections: int, seconds: float) -> ClientResult | None:
    """Measure with another client.

    Clients sometimes crash when their process ends. Returns None if a client crashed before it printed a result.
    """
    command = [sys.executable, "-m", "benchmarks.support.client_process", client, str(connections), str(seconds), url]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    if ended.returncode:
        print(f"  {client} at {connections} ended with {ended.returncode}: {ended.stderr.strip()[-300:]}")
    result = ClientResult(**json.loads(lines[-1])) if lines else None
    assert result is None or not result.failed, f"{client}: {result.failed} requests failed"
    return result


def run_all(clients: list[str]) -> dict[tuple[str, int], list[ClientResult]]:
    """Measure every client in every round."""
    results: dict[tuple[str, int], list[ClientResult]] = defaultdict(list)
    rng = random.Random(1)  # noqa: S311 - the order of the clients
    with nginx() as url:
        for _ in range(ROUNDS):
            for connections in CONNECTIONS:
                for client in rng.sample(clients, len(clients)):
                    run = wrk(url, connections, SECONDS) if client == "wrk" else None
                    result = run or run_client(client, url, connections, SECONDS)
                    if result is not None:
                        results[client, connections].append(result)
    return results


def medians_of(rounds: list[ClientResult]) -> ClientResult:
    """Return the median of each figure."""
    return ClientResult(*(median(getattr(result, name) for result in rounds) for name in ("rate", "p50", "p99")))


def main() -> list[Row]:
    """Measure all clients, and compare them with wrk."""
    missing = [program for program in ("nginx", "wrk") if program_path(program) is None]
    if missing:
        return [Row("not measured", "-", note=f"there is no {' and no '.join(missing)} here: {MISSING}")]
    installed = [name for name in OTHERS if name.startswith(OURS) or find_spec(name.removesuffix(UVLOOP))]
    results = {key: medians_of(rounds) for key, rounds in run_all(["wrk", FLOOR, OURS, *installed]).items()}
    rows = list(_aims(results[OURS, AIMED], results["wrk", AIMED]))
    for connections in CONNECTIONS:
        reference = results["wrk", connections]
        for client in ("wrk", FLOOR, OURS, *installed):
            result = results.get((client, connections))
            shown = "broke down" if result is None else _show(result)
            ratio = None if result is None else result.p50 / reference.p50
            rows.append(Row(f"{client}, {connections} connections", shown, ratio))
    absent = [client for client in OTHERS if client not in installed and not client.endswith(UVLOOP)]
    if absent:
        rows.append(Row(f"{', '.join(absent)}: not measured", "-", note="pip install -e '.[bench]'"))
    return rows


def _aims(ours: ClientResult, reference: ClientResult) -> list[Row]:
    p50, rate = ours.p50 / reference.p50, ours.rate / reference.rate
    where = f"{AIMED} connections, holdfast to wrk"
    return [
        Row(
            f"{where}: p50",
            f"{ours.p50 * 1e6:.0f} to {reference.p50 * 1e6:.0f} µs",
            p50,
            f"at most {MOST_P50}",
            p50 <= MOST_P50,
            note="the ratios of the rows below the aims compare p50 too. A suffix names the event loop; `holdfast` "
            "without one runs on uvloop, as its load process does; `bytes only` is Python's floor on that loop: it "
            "sends bytes and counts those that come back. On two cores, the client has one and nginx the "
            "other: at 8 and 64 connections, p50 is mostly the wait for the slower of the two",
        ),
        Row(
            f"{where}: rate",
            f"{ours.rate:,.0f} to {reference.rate:,.0f}/s",
            rate,
            f"at least {LEAST_RATE}",
            rate >= LEAST_RATE,
        ),
    ]


def _show(result: ClientResult) -> str:
    return f"{result.rate:,.0f}/s, p50 {result.p50 * 1e3:.3f} ms, p99 {result.p99 * 1e3:.3f} ms"
