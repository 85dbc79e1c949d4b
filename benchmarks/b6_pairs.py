"""Fidelity: what is found with rules, against services that are really broken.

First every pair of both lab topologies with two real faults, against its twin that is made of rules. The agreement is
counted by `run --verify-pairs` itself. Whatever disagrees is named, with the reason that the plan gives: a rule answers
at once, so a pair with a delay may only differ in how long it takes. Then the verdicts about made-up systems, whose
weaknesses are also in calls that healthy traffic never makes, against what the lab says is true
(`benchmarks/generated_truth.py`).
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

from benchmarks import generated_truth
from benchmarks.frame import Row
from benchmarks.generated_truth import QUICK, TEMPORAL
from cli.pointing import point_at
from clients.settings import Settings
from clients.store.store import Store
from clients.temporal import ensure_search_attributes
from lab import Lab, PortChoice, load_topology
from worker import running
from workflows.contracts.execution import RunSummary
from workflows.contracts.fidelity import PairFidelity, PairFinding, PairOutcome
from workflows.contracts.timing import TimingPreset
from workflows.names import WorkflowType

TITLE = "Fidelity: what is found with rules against services that are really broken"

EXAMPLES = Path(__file__).parents[1] / "examples"
AIM = 0.99
NAMED = 3
"""Pairs of a kind of disagreement that are told by name."""

REQUESTS = {"requests": int(os.environ.get("BENCH_PAIR_REQUESTS", "4")), "concurrency": 2}
"""Per case and pair: enough that p95 is not one request's luck, and 153 pairs end within the hour."""


def main() -> list[Row]:
    """Both topologies, one after the other; then the made-up systems."""
    return [*asyncio.run(_measured()), *generated_truth.main()]


async def _measured() -> list[Row]:
    path = str(TEMPORAL) if TEMPORAL.exists() else None
    async with await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter, dev_server_existing_path=path, dev_server_log_level="error"
    ) as server:
        await ensure_search_attributes(server.client)
        return [row for name in ("shop", "train-ticket") for row in await _rows(server.client, name)]


async def _rows(client: Any, name: str) -> list[Row]:
    """One topology."""
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
                    result_type=RunSummary,
                )
            store = await Store.open(settings.database_url)
            try:
                findings = [pair.finding for pair in await store.pairs(summary.execution_id)]
            finally:
                await store.close()
    delayed = {one["name"] for one in plan["services"] if isinstance(one["fault"], dict) and "delay" in one["fault"]}
    assert summary.pairs is not None
    return _told(name, summary.pairs, findings, delayed)


def _plan(name: str, lab: Lab) -> dict[str, Any]:
    """The example's plan, pointed at this lab. Each example says what its request may take."""
    plan: dict[str, Any] = point_at(yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text()), lab.addresses)
    plan["load"] = REQUESTS
    return plan


def _told(name: str, found: PairFidelity, findings: list[PairFinding], delayed: set[str]) -> list[Row]:
    compared = max(found.compared, 1)
    ratio = found.agreed / compared
    rows = [
        Row(
            name=f"{name}: status, body and verdict",
            value=f"{found.agreed} of {found.compared}",
            ratio=ratio,
            aim="99 % agree",
            met=ratio >= AIM and found.unchecked == 0,
            note=_why(findings, delayed),
        )
    ]
    quick = [one for one in findings if not _slow(one, delayed)]
    same = sum(one.outcome is PairOutcome.AGREED for one in quick)
    rows.append(
        Row(f"{name}: all three, pairs without a delayed service", f"{same} of {len(quick)}", same / max(len(quick), 1))
    )
    for part, agreed in (
        ("status", found.status_agreed),
        ("body", found.body_agreed),
        ("verdict", found.verdict_agreed),
    ):
        rows.append(Row(name=f"{name}: {part}", value=f"{agreed} of {found.compared}", ratio=agreed / compared))
    return rows


def _slow(found: PairFinding, delayed: set[str]) -> bool:
    return bool(delayed & set(found.case_id.split("+")))


def _why(findings: list[PairFinding], delayed: set[str]) -> str:
    """How many disagree or are unchecked, by what differs and whether a service of the pair is slow; the first few."""
    kinds: Counter[str] = Counter()
    named: dict[str, list[str]] = {}
    for one in findings:
        if one.outcome is PairOutcome.AGREED:
            continue
        parts = [word for word, same in (("status", one.status_agrees), ("body", one.body_agrees),
                                         ("verdict", one.verdict_agrees)) if same is False]  # fmt: skip
        what = f"{' and '.join(parts) or one.reason}{', with a delayed service' if _slow(one, delayed) else ''}"
        kinds[what] += 1
        named.setdefault(what, []).append(f"{one.case_id} ({'; '.join(one.differs) or one.reason})")
    return " ".join(
        f"{number} differ in {what}: {', '.join(named[what][:NAMED])}{' ...' if number > NAMED else '.'}"
        for what, number in kinds.most_common()
    )
