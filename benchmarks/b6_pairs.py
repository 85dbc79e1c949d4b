"""Fidelity: compares verdicts by rules with services that are really broken.

The first part runs every pair of both lab topologies with two real faults, and compares it with the same pair made of
rules. `run --verify-pairs` itself counts the agreement. Disagreements are named, and whether the plan delays a service
of the pair: a rule answers at once, so such a pair may differ in how long it takes, and in nothing else.

The second part compares the verdicts on made-up systems with the truth, which the lab knows
(`benchmarks/support/generated_truth.py`). These systems also have weaknesses in calls that healthy traffic never makes.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from benchmarks.support import generated_truth
from benchmarks.support.frame import Row
from benchmarks.support.generated_truth import QUICK, TEMPORAL
from cli.demo.lab_addresses import with_lab_addresses
from clients.settings import Settings
from clients.store.store import Store
from clients.temporal.connection import ensure_search_attributes
from domain.names import WorkflowType
from domain.pairs.fidelity import PairFidelity, PairFinding, PairOutcome
from domain.resilience.model import ResilienceSummary
from domain.timing import TimingPreset
from lab import Lab, PortChoice, load_topology
from worker import running

TITLE = "Fidelity: verdicts by rules against services that are really broken"

EXAMPLES = Path(__file__).parents[1] / "examples"
AIM = 0.99
NAMED = 3
"""Most pairs that are named for each kind of disagreement."""

REQUESTS = {"requests": int(os.environ.get("BENCH_PAIR_REQUESTS", "4")), "concurrency": 2}
"""Load per case and pair: several requests each, but few enough for 153 pairs within an hour."""


def main() -> list[Row]:
    """Measure both topologies, one after the other, then the made-up systems."""
    return [*asyncio.run(_measured()), *generated_truth.main()]


async def _measured() -> list[Row]:
    path = str(TEMPORAL) if TEMPORAL.exists() else None
    async with await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter, dev_server_existing_path=path, dev_server_log_level="error"
    ) as server:
        await ensure_search_attributes(server.client)
        return [row for name in ("shop", "train-ticket") for row in await _rows(server.client, name)]


async def _rows(client: Any, name: str) -> list[Row]:
    """Measure one topology."""
    async with Lab(load_topology(EXAMPLES / f"{name}-topology.yaml"), settings=QUICK, ports=PortChoice.FREE) as lab:
        with tempfile.TemporaryDirectory() as folder:
            plan = _plan(name, lab)
            settings = Settings(
                allowed_hosts=["127.0.0.1:1-65535"],
                database_url=f"sqlite+aiosqlite:///{folder}/holdfast.db",
                timing=TimingPreset.FAST,
                task_queue=f"bench-{uuid.uuid4().hex}",
                sweeper=False,
                max_active_faults=2,
            )
            async with running(client, settings):
                summary = await client.execute_workflow(
                    WorkflowType.RESILIENCE_TEST,
                    {"plan": plan, "verify_pairs": "100%"},
                    id=f"bench/{settings.task_queue}",
                    task_queue=settings.task_queue,
                    result_type=ResilienceSummary,
                )
            store = await Store.open(settings.database_url)
            try:
                findings = [pair.finding for pair in await store.pairs.of(summary.execution_id)]
            finally:
                await store.close()
    delayed = {
        service["name"]
        for service in plan["services"]
        if isinstance(service["fault"], dict) and "delay" in service["fault"]
    }
    assert summary.pairs is not None
    return _fidelity_rows(name, summary.pairs, findings, delayed)


def _plan(name: str, lab: Lab) -> dict[str, Any]:
    """Return the example's plan with the addresses of this lab. The limits are those of the example."""
    plan: dict[str, Any] = with_lab_addresses(yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text()), lab.addresses)
    plan["load"] = REQUESTS
    return plan


def _fidelity_rows(name: str, fidelity: PairFidelity, findings: list[PairFinding], delayed: set[str]) -> list[Row]:
    compared = max(fidelity.compared, 1)
    ratio = fidelity.agreed / compared
    rows = [
        Row(
            name=f"{name}: status, body and verdict",
            value=f"{fidelity.agreed} of {fidelity.compared}",
            ratio=ratio,
            aim="99 % agree",
            met=ratio >= AIM and fidelity.unchecked == 0,
            note=_why(findings, delayed),
        )
    ]
    quick = [finding for finding in findings if not _slow(finding, delayed)]
    same = sum(finding.outcome is PairOutcome.AGREED for finding in quick)
    rows.append(
        Row(f"{name}: all three, pairs without a delayed service", f"{same} of {len(quick)}", same / max(len(quick), 1))
    )
    for part, agreed in (
        ("status", fidelity.status_agreed),
        ("body", fidelity.body_agreed),
        ("verdict", fidelity.verdict_agreed),
    ):
        rows.append(Row(name=f"{name}: {part}", value=f"{agreed} of {fidelity.compared}", ratio=agreed / compared))
    return rows


def _slow(finding: PairFinding, delayed: set[str]) -> bool:
    return bool(delayed & set(finding.case_id.split("+")))


def _why(findings: list[PairFinding], delayed: set[str]) -> str:
    """Count the pairs that disagree or are unchecked, and name the first few.

    They are grouped by what differs, and by whether a service of the pair is delayed.
    """
    kinds: Counter[str] = Counter()
    named: dict[str, list[str]] = {}
    for finding in findings:
        if finding.outcome is PairOutcome.AGREED:
            continue
        parts = [word for word, same in (("status", finding.status_agrees), ("body", finding.body_agrees),
                                         ("verdict", finding.verdict_agrees)) if same is False]  # fmt: skip
        what = f"{' and '.join(parts) or finding.reason}{', with a delayed service' if _slow(finding, delayed) else ''}"
        kinds[what] += 1
        named.setdefault(what, []).append(f"{finding.case_id} ({'; '.join(finding.differs) or finding.reason})")
    return " ".join(
        f"{number} differ in {what}: {', '.join(named[what][:NAMED])}{' ...' if number > NAMED else '.'}"
        for what, number in kinds.most_common()
    )
