"""Everything that the store knows of a run, read once.

Reports are built from it.

A very large run (a thousand services are half a million cases) has its results read in chunks. Only those worth looking
at are kept: the baseline, the cases of one service, and the worst of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import groupby

from clients.store.decoding import Rows
from clients.store.read_models import CaseResult, CheckedPair, ExecutionRow, LogEntry
from clients.store.store import Store
from domain.calls.discovery import CallKey, key_of, only_when_broken
from domain.calls.model import CallRound, FallbackCall, FoundBy, RealCase
from domain.executions.execution import Verdict
from domain.executions.windows import LedgerEntry, ServiceStability, StabilityMoment
from domain.measuring.load import CaseOutcome, CaseType
from domain.measuring.merging import SHOWN_CASES, merged, metrics_of, worst_first
from domain.measuring.metrics import LoadMetrics
from domain.measuring.steady_report import SteadyMoment, SteadyReport
from domain.pairs.fidelity import PairChoice
from domain.plans.plan import Plan
from domain.resilience.model import Phase
from domain.traffic.exchange import CapturedAnswer, RecordedExchange
from reports.build.shown_cases import as_shown

CHUNK = 5_000
"""Cases whose results are read at once."""


@dataclass
class Results:
    """Results of the cases of a run."""

    found: dict[int, tuple[CaseOutcome, Verdict | None]] = field(default_factory=dict)
    """Outcome and verdict of every case that has a result, by case index."""
    metrics: LoadMetrics = field(default_factory=LoadMetrics)
    """Metrics over all of these cases."""
    by_real_faults: int = 0
    """Number of cases whose verdict comes from real faults."""
    kept: list[CaseResult] = field(default_factory=list)
    """Results in index order. If there are more than requested, only those worth looking at."""


@dataclass(frozen=True)
class StoredRun:
    """A run as it is stored."""

    row: ExecutionRow
    plan: Plan
    ledger: Sequence[LedgerEntry]
    log: Sequence[LogEntry]
    captured: dict[str, list[CapturedAnswer]]
    """Answers of the broken services, by service."""
    exchanges: dict[str, list[RecordedExchange]]
    """Recorded requests by service, including those that discovery added. Empty until the analysis is over."""
    propagation: dict[str, bool]
    """Whether the baggage marker reached each service. Empty until the analysis is over."""
    tokens: dict[str, str]
    kinds: dict[CaseType, int]
    """Number of generated cases, by type."""
    results: Results
    checked: list[CheckedPair]
    """Pairs chosen to be checked with two real faults."""
    stability: dict[StabilityMoment, list[ServiceStability]]
    """How long services took to become stable."""
    phases: list[tuple[Phase, datetime]] = field(default_factory=list)
    """Phases that the run entered, in order."""
    steady: dict[SteadyMoment, SteadyReport] = field(default_factory=dict)
    """Checks of the steady state."""
    pair_choice: PairChoice | None = None
    """Which pairs the run verifies with two real faults. None if it chose none."""
    calls: Rows[FallbackCall] = field(default_factory=Rows)
    """Calls that failures cause."""
    rounds: Rows[CallRound] = field(default_factory=Rows)
    """Rounds of looking for such calls. Empty if the run did not look for them."""
    real: list[RealCase] = field(default_factory=list)
    """Cases run while their services were really broken."""

    @cached_property
    def analyzed(self) -> dict[str, int]:
        """Number of distinct requests the analysis recorded, by service.

        Requests that discovery added do not count.
        """
        added = only_when_broken(self.calls) | {key_of(call) for call in self.calls if not call.case_index}
        return {
            name: sum(CallKey(name, exchange.method, exchange.path) not in added for exchange in recorded)
            for name, recorded in self.exchanges.items()
        }

    @property
    def total(self) -> int:
        """Number of generated cases."""
        return sum(self.kinds.values())


async def read_run(store: Store, row: ExecutionRow, *, most_cases: int, worst_of_more: bool) -> StoredRun:
    """Read all that is stored of a run.

    Reads the results of at most `most_cases` cases. If the run has more, it reads none of them, or with `worst_of_more`
    all of them, and keeps the worst.
    """
    run = row.execution_id
    plan = (await store.executions.plan_for_closing(run)).plan
    kinds = await store.cases.counts(run)
    propagation = await store.traffic.propagation(run)
    answers = sorted(await store.traffic.captured(run), key=lambda answer: (answer.service, answer.position))
    total = sum(kinds.values())
    real = await store.calls.real_cases(run)
    checked = await store.pairs.of(run)
    asked = {case.case_index for case in real} | {pair.case_index for pair in checked}
    return StoredRun(
        row=row,
        plan=plan,
        ledger=await store.ledger.of(run),
        log=await store.logs.of(run),
        captured={name: list(group) for name, group in groupby(answers, key=lambda answer: answer.service)},
        exchanges={
            name: await store.traffic.exchanges(run, name) for name in (plan.service_names if propagation else [])
        },
        propagation=propagation,
        tokens=await store.cases.tokens(run),
        kinds=kinds,
        results=await _results(store, run, total, most_cases, asked)
        if worst_of_more or total <= most_cases
        else Results(),
        checked=checked,
        stability=await store.stability.of(run),
        phases=await store.progress.phases(run),
        steady=await store.progress.steady(run),
        pair_choice=await store.progress.pair_choice(run),
        calls=await store.calls.all(run),
        rounds=await store.calls.rounds(run),
        real=real,
    )


async def _results(store: Store, run: int, total: int, most: int, asked: Collection[int]) -> Results:
    read = Results()
    for first in range(0, total, CHUNK):
        chunk = await store.results.between(run, first, min(first + CHUNK, total))
        read.found |= {result.case_index: (result.outcome, result.verdict) for result in chunk}
        read.metrics = merged(read.metrics, metrics_of([as_shown(result) for result in chunk]), SHOWN_CASES)
        read.by_real_faults += sum(result.found_by is FoundBy.REAL_FAULTS for result in chunk)
        read.kept = worth_keeping([*read.kept, *chunk], most, asked)
    return read


def worth_keeping(results: list[CaseResult], most: int, asked: Collection[int] = ()) -> list[CaseResult]:
    """Return at most `most` results, by index.

    Keeps the baseline, the cases of one service and those `asked` with real faults, then the worst.
    """
    if len(results) <= most:
        return results

    def rank(result: CaseResult) -> tuple[object, ...]:
        return result.case_type is CaseType.DUAL and result.case_index not in asked, worst_first(as_shown(result))

    ranked = sorted(results, key=rank)
    return sorted(ranked[:most], key=lambda result: result.case_index)
