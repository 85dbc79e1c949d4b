"""Compares verdicts on made-up systems with the truth.

For every case, the lab first really breaks the services, without rules or sidecars, and sends the entry one request.
That answer is the truth. Then the system goes through a whole run as usual.
`python -m benchmarks.support.generated_truth 3` does this with three systems.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, cycle
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from benchmarks.support.frame import Row
from clients.settings import Settings
from clients.store.read_models import CaseResult
from clients.store.store import Store
from clients.temporal.connection import ensure_search_attributes
from domain.errors import HoldfastError
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome
from domain.names import WorkflowType
from domain.resilience.model import ResilienceSummary
from domain.timing import TimingPreset
from lab import Broken, Lab, LabSettings, PortChoice, RealOutcome, Topology
from lab.generated.generate import Generated, generate_topology
from lab.generated.graphs import Shape
from lab.generated.plan_for import plan_for
from lab.generated.planting import Planted, Weakness
from lab.topology import FailureKind
from worker import running

SYSTEMS = int(os.environ.get("BENCH_SYSTEMS", "200"))
AT_ONCE = 3
"""Runs at the same time. Each has its own process, with a lab and a worker."""
FEWEST, MOST = 6, 12
"""Number of services of a system."""
MOST_FALSE_ALARMS = 0.01
MOST_OPEN = 0.03
NAMED = 5
"""Most cases and errors that are named for each figure."""

QUICK = LabSettings(
    rollout=0.1, fault_start=0.1, fault_stop=0.1, execute_wait=0.02, collect=20, collect_quiet=0.8, replay_timeout=1
)
"""Settings of a lab that wastes no time. Its answers are the same."""

TEMPORAL = Path(sys.executable).with_name("temporal")
_FAILURES = {Broken.REMOVE: FailureKind.NO_ANSWER, Broken.ERROR: FailureKind.STATUS}
_PAUSES = 2.0
"""Factor that lengthens pauses before retries. A busy machine must not move a case across the latency limit."""


@dataclass(frozen=True)
class Wanted:
    """Everything that is needed to generate a system again."""

    shape: Shape
    services: int
    seed: int
    weaknesses: int

    @property
    def command(self) -> str:
        """The command that generates it again."""
        chosen = f"{self.shape}:{self.services} --seed {self.seed} --weaknesses {self.weaknesses}"
        return f"holdfast lab --generate {chosen} --kinds all"

    def made(self) -> Generated:
        """Generate the system, with longer pauses and a namespace of its own."""
        chosen = generate_topology(
            self.shape, self.services, self.seed, weaknesses=self.weaknesses, kinds=frozenset(Weakness)
        )
        return chosen._replace(topology=_unhurried(chosen.topology, f"{self.shape}-{self.services}-{self.seed}"))

    def ways(self, names: Sequence[str]) -> dict[str, Broken]:
        """Return how each service is broken.

        The services alternate between no answer and an error. Every other system starts with the other kind.
        """
        order = list(Broken) if self.seed % 2 else list(Broken)[::-1]
        return dict(zip(names, cycle(order), strict=False))


def wanted(number: int) -> Wanted:
    """Return the system with this number.

    All shapes and sizes are about equally frequent. Each system has its own seed.
    """
    shapes = list(Shape)
    size = FEWEST + number // len(shapes) % (MOST - FEWEST + 1)
    return Wanted(shapes[number % len(shapes)], size, number, 2 + number % 3)


def _unhurried(topology: Topology, namespace: str) -> Topology:
    services = tuple(
        service.model_copy(
            update={
                "calls": tuple(call.model_copy(update={"backoff": call.backoff * _PAUSES}) for call in service.calls)
            }
        )
        for service in topology.services
    )
    return topology.model_copy(update={"namespace": namespace, "services": services})


@dataclass(frozen=True)
class Judged:
    """One case: the run's verdict, and the truth."""

    case_id: str
    verdict: str
    """Verdict of the run; `invalid` or `skipped` if the case was not measured."""
    reason: str
    truth: RealOutcome
    fails: bool
    """Whether the true answer is an error, or slower than allowed."""
    kinds: tuple[Weakness, ...] = ()
    """Kinds of the planted weaknesses that make it fail."""

    @property
    def false_pass(self) -> bool:
        """Whether the case passed although it really fails: worse than no verdict."""
        return self.fails and self.verdict == Verdict.PASSED

    @property
    def false_alarm(self) -> bool:
        """Whether the case failed although it really works."""
        return not self.fails and self.verdict == Verdict.FAILED

    @property
    def open(self) -> bool:
        """Whether the run neither passes nor fails the case."""
        return self.verdict not in {Verdict.PASSED, Verdict.FAILED}


@dataclass(frozen=True)
class Checked:
    """Result of one system."""

    system: Wanted
    cases: list[Judged] = field(default_factory=list)
    error: str = ""
    """Why its run has no result. Empty: it has one."""


async def _truths(lab: Lab, broken: Mapping[str, Broken]) -> dict[str, RealOutcome]:
    """Return the truth of each case, by its id."""
    healthy = await lab.truth({})
    assert healthy.status == 200, healthy
    names = sorted(broken)
    cases = [*((name,) for name in names), *combinations(names, 2)]
    return {"+".join(case): await lab.truth({name: broken[name] for name in case}) for case in cases}


def judged(result: CaseResult, truth: RealOutcome, longest: float, kinds: tuple[Weakness, ...] = ()) -> Judged:
    """Compare a case with the truth. `longest`: the latency that the plan allows, in seconds."""
    fails = truth.status is None or truth.status >= 400 or truth.seconds > longest
    verdict = result.verdict if result.outcome is CaseOutcome.MEASURED and result.verdict else result.outcome
    return Judged(result.case_id, str(verdict), result.reason, truth, fails, kinds)


def _plan(topology: Topology, lab: Lab, broken: Mapping[str, Broken]) -> dict[str, Any]:
    plan = plan_for(topology, lab.addresses)
    # No delays: a rule answers at once. That limit is documented, and would only be counted here again.
    plan["services"] = [{"name": name, "fault": kind.value} for name, kind in broken.items()]
    return plan


def _makes_fail(planted: Sequence[Planted], case: Sequence[str], broken: Mapping[str, Broken]) -> tuple[Weakness, ...]:
    return tuple(
        weakness.kind
        for weakness in planted
        if any(
            set(names) <= set(case)
            and all(weakness.only in {FailureKind.ANY, _FAILURES[broken[name]]} for name in names)
            for names in weakness.cases
        )
    )


async def _checked(system: Wanted, temporal: str) -> Checked:
    client = await Client.connect(temporal, data_converter=pydantic_data_converter)
    topology, planted = system.made()
    broken = system.ways([service.name for service in topology.services[1:]])
    async with Lab(topology, settings=QUICK, ports=PortChoice.FREE) as lab:
        truths = await _truths(lab, broken)
        plan = _plan(topology, lab, broken)
        with tempfile.TemporaryDirectory() as folder:
            results = await _run(client, plan, f"sqlite+aiosqlite:///{folder}/holdfast.db")
        if not lab.state().clean:
            return Checked(system, error=f"something was left active: {lab.state().model_dump_json()}")
    longest = float(plan["slo"]["p95"].removesuffix("s"))
    return Checked(
        system,
        [
            judged(result, truths[result.case_id], longest, _makes_fail(planted, result.case_id.split("+"), broken))
            for result in results
            if result.case_id in truths
        ],
    )


async def _run(client: Client, plan: dict[str, Any], database_url: str) -> list[CaseResult]:
    settings = Settings(
        allowed_hosts=["127.0.0.1:1-65535"],
        database_url=database_url,
        timing=TimingPreset.FAST,
        task_queue=f"bench-{uuid.uuid4().hex}",
        sweeper=False,
        max_active_faults=2,
    )
    async with running(client, settings):
        summary = await client.execute_workflow(
            WorkflowType.RESILIENCE_TEST,
            {"plan": plan},
            id=f"bench/{settings.task_queue}",
            task_queue=settings.task_queue,
            result_type=ResilienceSummary,
        )
    store = await Store.open(database_url)
    try:
        return list(await store.results.all(summary.execution_id))
    finally:
        await store.close()


def check_system(number: int, temporal: str) -> Checked:
    """Generate, break and test the system with this number, in this process."""
    system = wanted(number)
    try:
        return asyncio.run(_checked(system, temporal))
    except WorkflowFailureError as error:
        return Checked(system, error=str(error.cause))
    except (AssertionError, HoldfastError, OSError, RPCError) as error:
        # One failed system must not lose the results of the two hundred.
        return Checked(system, error=f"{type(error).__name__}: {error}")


def rows_of(checked: Sequence[Checked]) -> list[Row]:
    """Return rows for false passes, false alarms and open cases, each with the first few by name."""
    cases = [(run.system, case) for run in checked for case in run.cases]
    pairs = sum("+" in case.case_id for _, case in cases)
    failed = [run for run in checked if run.error]
    shown = "; ".join(f"{run.system.command}: {run.error}" for run in failed[:NAMED])
    total = max(len(cases), 1)

    def row(name: str, counts: Callable[[Judged], bool], aim: str, most: float) -> Row:
        matching = [(system, case) for system, case in cases if counts(case)]
        share = len(matching) / total
        return Row(
            f"made-up systems: {name}",
            f"{len(matching)} of {len(cases)}",
            share,
            aim,
            bool(cases) and (share <= most),
            _named(matching),
        )

    return [
        Row(
            "made-up systems: runs without a result",
            f"{len(failed)} of {len(checked)}",
            None,
            "none",
            not failed,
            shown,
        ),
        Row(
            "made-up systems: cases that really fail",
            f"{sum(case.fails for _, case in cases)} of {len(cases)}",
            note=f"{pairs} of the cases are pairs; {len(checked)} systems of {FEWEST} to {MOST} services, whose worker "
            "allows two faults at once",
        ),
        row("false passes", lambda case: case.false_pass, "none", 0),
        row("false alarms", lambda case: case.false_alarm, f"at most {MOST_FALSE_ALARMS:.0%}", MOST_FALSE_ALARMS),
        row("invalid or inconclusive", lambda case: case.open, f"under {MOST_OPEN:.0%}", MOST_OPEN),
    ]


def _named(cases: Sequence[tuple[Wanted, Judged]]) -> str:
    """List the kinds of planted weaknesses, and the first case of each of the first few systems."""
    if not cases:
        return ""
    kinds = Counter(kind.value for _, case in cases for kind in case.kinds)
    planted = f"planted as {', '.join(f'{kind} {number}' for kind, number in kinds.most_common())}; " if kinds else ""
    firsts: dict[Wanted, Judged] = {}
    for system, case in cases:
        firsts.setdefault(system, case)
    shown = "; ".join(
        f"`{system.command}` {case.case_id}: {case.verdict}{f' ({case.reason})' if case.reason else ''}, really "
        f"{case.truth.status or 'no answer'} after {case.truth.seconds:.1f} s"
        for system, case in list(firsts.items())[:NAMED]
    )
    return f"{planted}in {len(firsts)} of the systems: {shown}{' ...' if len(firsts) > NAMED else ''}"


async def _measured(systems: int) -> list[Checked]:
    path = str(TEMPORAL) if TEMPORAL.exists() else None
    async with await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter, dev_server_existing_path=path, dev_server_log_level="error"
    ) as server:
        await ensure_search_attributes(server.client)
        address = server.client.service_client.config.target_host
        return await asyncio.to_thread(_in_processes, systems, address)


def _in_processes(systems: int, temporal: str) -> list[Checked]:
    """Check `systems` systems, `AT_ONCE` at a time. Progress goes to standard error."""
    checked: list[Checked] = []
    # Not forked: the Temporal client has its own threads, which a fork would lose.
    context = multiprocessing.get_context("spawn")
    # No ProcessPoolExecutor: with `max_tasks_per_child`, Python 3.11 replaces no process once all have had their tasks.
    with context.Pool(AT_ONCE, maxtasksperchild=10) as pool:
        check = partial(check_system, temporal=temporal)
        for number, result in enumerate(pool.imap_unordered(check, range(systems)), 1):
            checked.append(result)
            false = sum(case.false_pass for run in checked for case in run.cases)
            print(f"  {number} of {systems} systems, {false} false passes", file=sys.stderr, flush=True)
    return sorted(checked, key=lambda result: result.system.seed)


def main(systems: int = SYSTEMS) -> list[Row]:
    """Check `systems` systems, and return the rows; no rows for 0 systems."""
    return rows_of(asyncio.run(_measured(systems))) if systems else []


if __name__ == "__main__":
    for row in main(*map(int, sys.argv[1:])):
        print(row.name, row.value, row.aim, row.met, row.note, sep=" | ")
