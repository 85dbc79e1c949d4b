"""Everything that the store knows of a run, read once; all else in `reports` is made of it.

Results of very large runs (a thousand services are half a million cases) are read in chunks, and only those kept that
somebody will look at: the baseline, the cases of one service, and the worst of the others.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

from clients.store.decoding import Rows
from clients.store.read_models import CaseResult, CheckedPair, ExecutionRow, LogEntry
from clients.store.store import Store
from reports.shown_cases import as_shown
from workflows.contracts.calls import CallRound, FallbackCall, FoundBy, RealCase
from workflows.contracts.exchange import CapturedAnswer, RecordedExchange
from workflows.contracts.execution import Verdict
from workflows.contracts.load import CaseOutcome, CaseType
from workflows.contracts.metrics import LoadMetrics
from workflows.contracts.plan import Plan
from workflows.contracts.windows import LedgerEntry, ServiceStability, StabilityMoment
from workflows.logic.calls import CallKey, key_of, only_when_broken
from workflows.logic.metrics import SHOWN_CASES, merged, metrics_of, worst_first

CHUNK = 5_000
"""Cases of which results are read at once."""


@dataclass
class Results:
    """What became of the cases."""

    found: dict[int, tuple[CaseOutcome, Verdict | None]] = field(default_factory=dict)
    """Of every case that has a result, by its index."""
    metrics: LoadMetrics = field(default_factory=LoadMetrics)
    """Of all of them."""
    by_real_faults: int = 0
    """Those of them whose verdict real faults have found."""
    kept: list[CaseResult] = field(default_factory=list)
    """By index: all, or, of more than were asked for, those worth looking at."""


@dataclass(frozen=True)
class StoredRun:
    """A run as it is stored."""

    row: ExecutionRow
    plan: Plan
    ledger: Sequence[LedgerEntry]
    log: Sequence[LogEntry]
    captured: dict[str, list[CapturedAnswer]]
    """How services failed, by service."""
    exchanges: dict[str, list[RecordedExchange]]
    """What was recorded of them, and what discovery has added; empty before the analysis was over."""
    propagation: dict[str, bool]
    """Which services the baggage marker reached; empty before the analysis was over."""
    tokens: dict[str, str]
    kinds: dict[CaseType, int]
    """Cases that were generated, by type."""
    results: Results
    checked: list[CheckedPair]
    """Pairs with two real faults."""
    stability: dict[StabilityMoment, list[ServiceStability]]
    """How long services took to be stable."""
    calls: Rows[FallbackCall] = field(default_factory=Rows)
    """Calls that failures cause."""
    rounds: Rows[CallRound] = field(default_factory=Rows)
    """Of looking for them; empty where nobody has looked."""
    real: list[RealCase] = field(default_factory=list)
    """Cases that were asked while their services were really broken."""

    @cached_property
    def analyzed(self) -> dict[str, int]:
        """How many different requests the analysis recorded of each service, without those that discovery added."""
        added = only_when_broken(self.calls) | {key_of(one) for one in self.calls if not one.case_index}
        return {
            name: sum(CallKey(name, one.method, one.path) not in added for one in found)
            for name, found in self.exchanges.items()
        }

    @property
    def total(self) -> int:
        """Cases that were generated."""
        return sum(self.kinds.values())


async def read_run(store: Store, row: ExecutionRow, *, most_cases: int, worst_of_more: bool) -> StoredRun:
    """Read all that is stored of a run, and the results of at most so many cases.

    With more cases than that: none of their results, or with `worst_of_more` all of them, of which the worst are kept.
    """
    run = row.execution_id
    plan = (await store.plan_for_closing(run)).plan
    kinds, propagation = await store.case_counts(run), await store.propagation(run)
    answers = sorted(await store.captured(run), key=lambda one: (one.service, one.position))
    total = sum(kinds.values())
    real, checked = await store.real_cases(run), await store.pairs(run)
    asked = {one.case_index for one in real} | {one.case_index for one in checked}
    return StoredRun(
        row=row,
        plan=plan,
        ledger=await store.ledger_of(run),
        log=await store.log_entries(run),
        captured={name: list(found) for name, found in groupby(answers, key=lambda one: one.service)},
        exchanges={name: await store.exchanges(run, name) for name in (plan.service_names if propagation else [])},
        propagation=propagation,
        tokens=await store.tokens(run),
        kinds=kinds,
        results=await _results(store, run, total, most_cases, asked)
        if worst_of_more or total <= most_cases
        else Results(),
        checked=checked,
        stability=await store.stability(run),
        calls=await store.calls(run),
        rounds=await store.call_rounds(run),
        real=real,
    )


async def _results(store: Store, run: int, total: int, most: int, asked: Collection[int]) -> Results:
    read = Results()
    for first in range(0, total, CHUNK):
        chunk = await store.results_in(run, first, min(first + CHUNK, total))
        read.found |= {one.case_index: (one.outcome, one.verdict) for one in chunk}
        read.metrics = merged(read.metrics, metrics_of([as_shown(one) for one in chunk]), SHOWN_CASES)
        read.by_real_faults += sum(one.found_by is FoundBy.REAL_FAULTS for one in chunk)
        read.kept = worth_keeping([*read.kept, *chunk], most, asked)
    return read


def worth_keeping(results: list[CaseResult], most: int, asked: Collection[int] = ()) -> list[CaseResult]:
    """At most so many, by index: the baseline, the cases of one service, those `asked` with real faults, the worst."""
    if len(results) <= most:
        return results

    def rank(one: CaseResult) -> tuple[object, ...]:
        return one.case_type is CaseType.DUAL and one.case_index not in asked, worst_first(as_shown(one))

    ranked = sorted(results, key=rank)
    return sorted(ranked[:most], key=lambda one: one.case_index)
