"""The train-ticket system, and a plan for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from temporalio.client import Client

from cli.demo.lab_addresses import with_lab_addresses
from tests.support.paths import ROOT
from tests.support.runs.bench import Bench, unhurried_example
from tests.support.runs.fixtures import opened_bench


@pytest.fixture
async def train_ticket(temporal: Client, tmp_path: Path) -> AsyncIterator[Bench]:
    """Train-ticket, a store, and a worker in this process."""
    async with opened_bench(temporal, tmp_path, unhurried_example("train-ticket")) as bench:
        yield bench


def plan_for(bench: Bench) -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "examples" / "train-ticket.yaml").read_text())
    plan: dict[str, Any] = with_lab_addresses(document, bench.lab.addresses)
    plan["name"] = bench.name
    return plan
