"""One real Temporal server for all tests; a lab, a store and a worker of its own for each test that asks for them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from clients.temporal.connection import ensure_search_attributes
from lab import Lab, LabSettings, PortChoice, Topology
from tests.support.runs.bench import PATIENCE, Bench, brisk_shop, unhurried_example
from worker import running

TEMPORAL = Path(sys.executable).with_name("temporal")

QUICK = LabSettings(
    rollout=0.1, fault_start=0.1, fault_stop=0.1, execute_wait=0.02, collect=20, collect_quiet=0.8, replay_timeout=4
)
"""A lab that wastes no time.

It still takes some for everything, so that a test can look in between.
"""


@asynccontextmanager
async def embedded_server() -> AsyncIterator[Client]:
    """Run the embedded server as `holdfast server` starts it, without its database file."""
    async with await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=str(TEMPORAL) if TEMPORAL.exists() else None,
        dev_server_log_level="error",
        dev_server_startup_timeout=timedelta(seconds=PATIENCE),
    ) as server:
        assert await ensure_search_attributes(server.client)
        yield server.client


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    """One server for all tests of a process."""
    async with embedded_server() as client:
        yield client


@asynccontextmanager
async def opened_bench(
    temporal: Client, folder: Path, topology: Topology, database_url: str = ""
) -> AsyncIterator[Bench]:
    """Open a system, a store, and a worker in this process."""
    async with Lab(topology, settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, folder, database_url)
        async with running(temporal, bench.settings), bench:
            yield bench


@pytest.fixture
async def bench(temporal: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    """A shop, a store, and a worker in this process."""
    async with opened_bench(temporal, tmp_path, brisk_shop()) as bench:
        yield bench


@pytest.fixture
async def retrying_bench(temporal: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    """As `bench`, for tests that compare how long cases take: a retry costs 300 ms, far more than a slow machine."""
    async with opened_bench(temporal, tmp_path, unhurried_example("shop", backoffs=1)) as bench:
        yield bench


@pytest.fixture
async def idle_bench(temporal: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    """A shop and a store without a worker: the test starts and kills its own processes."""
    async with Lab(brisk_shop(), settings=QUICK, ports=PortChoice.FREE) as lab:
        bench = Bench(temporal, lab, tmp_path)
        async with bench:
            yield bench
