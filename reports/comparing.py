"""Reads two runs from the store and holds them against each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clients.store.read_models import Arm, CaseResult, ExecutionRow, StoredSamples
from clients.store.store import Store
from reports.case_evidence import Sampled, evidence, sampled
from reports.changes import Looked, changes, flipped
from reports.comparison import CaseSide, ComparedRun, Margins, RunComparison
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.load import CaseOutcome
from workflows.contracts.plan import Plan
from workflows.contracts.slo import Percentile, Regression
from workflows.logic import comparability
from workflows.logic.blocks import block_sizes, seed_of
from workflows.logic.statistics.support import supported

CHUNK = 200
"""Cases whose samples are held in memory at once: of each run up to half a megabyte a case."""

_MS = 1_000


async def compared(
    store: Store, before: ExecutionRow, after: ExecutionRow, wanted: Mapping[str, Any] | None = None
) -> RunComparison:
    """Hold a later run against an earlier one; the same answer for the same runs.

    `wanted` are fields of `Margins` to use instead of what the later run's plan says (`slo.regression`).

    Raises:
        HoldfastError: NOT_COMPARABLE with every reason; else as the store.
    """
    plans = await store.plan(before.execution_id), await store.plan(after.execution_id)
    _refuse(before, after, *plans)
    margins = margins_of(plans[1], wanted or {})
    cases = await _looked(store, before, after, plans, margins)
    sides = [[getattr(case, side) for case in cases] for side in ("before", "after")]
    return RunComparison(
        before=_run(before, sides[0]),
        after=_run(after, sides[1]),
        margins=margins,
        remarks=_remarks(before, after, *plans),
        cases=changes(cases, margins),
    )


def margins_of(plan: Plan, wanted: Mapping[str, Any]) -> Margins:
    """What the plan counts as slower, or else the defaults of that; and what is wanted instead of it."""
    said = plan.slo.regression or Regression()
    planned = {
        "percentile": said.percentile,
        "slower": said.margin,
        "at_least_ms": said.at_least.total_seconds() * _MS,
        "confidence": said.confidence,
        "false_alarms": said.false_alarms,
    }
    return Margins.model_validate(planned | dict(wanted))


def _refuse(before: ExecutionRow, after: ExecutionRow, one: Plan, other: Plan) -> None:
    if before.execution_id == after.execution_id:
        message = f"both are execution {before.execution_id}"
        raise HoldfastError(ErrorCode.NOT_COMPARABLE, message, hint="`holdfast list` shows the ids of other runs")
    for row in (before, after):
        if row.finished_at is None:
            message = f"execution {row.execution_id} of plan {row.plan} has not ended yet"
            raise HoldfastError(ErrorCode.NOT_COMPARABLE, message, hint=f"`holdfast watch {row.plan}` waits for it")
    reasons = comparability.differences(one, other)
    if reasons:
        message = f"executions {before.execution_id} and {after.execution_id} cannot be compared: {'. '.join(reasons)}"
        hint = "compare runs of the same request, load, services and environment; limits (`slo`) may differ"
        raise HoldfastError(ErrorCode.NOT_COMPARABLE, message, hint=hint)


def _remarks(before: ExecutionRow, after: ExecutionRow, one: Plan, other: Plan) -> list[str]:
    remarks = []
    if comparability.other_limits(one, other):
        remarks.append("the limits (slo) differ: a change of a verdict says nothing")
    if comparability.other_address(one, other):
        remarks.append("the environment was met at another address")
    if after.started_at < before.started_at:
        remarks.append("the first of the two is the later one: what is better here has become worse since")
    for row in (before, after):
        if row.error_code is not None:
            remarks.append(f"execution {row.execution_id} ended early, as {row.error_code}")
    return remarks


def _run(row: ExecutionRow, cases: list[CaseSide]) -> ComparedRun:
    return ComparedRun(
        execution_id=row.execution_id,
        plan=row.plan,
        started_at=row.started_at,
        status=row.run_status,
        phase=row.status,
        verdict=row.verdict,
        cases=len(cases),
        measured=sum(one.outcome is CaseOutcome.MEASURED for one in cases),
    )


class _Reader:
    """One run's results and samples, chunk by chunk."""

    def __init__(self, store: Store, row: ExecutionRow, plan: Plan) -> None:
        self._store = store
        self._run = row.execution_id
        self._sizes = block_sizes(plan.load)
        self._results: dict[int, CaseResult] = {}
        self._samples: dict[int, StoredSamples] = {}

    async def read(self, first: int, end: int) -> None:
        """Hold the cases with first <= index < end, instead of those before."""
        self._results = {one.case_index: one for one in await self._store.results_in(self._run, first, end)}
        stored = await self._store.samples_in(self._run, first, end)
        self._samples = {one.case_index: one for one in stored if one.arm is Arm.CASE}

    def side(self, index: int, percentile: Percentile) -> CaseSide:
        """What became of a case; numbers of one that does not count are left out."""
        result = self._results.get(index)
        if result is None:
            return CaseSide()
        known = CaseSide(outcome=result.outcome, verdict=result.verdict, reason=result.reason)
        found = result.measurement
        if found is None or result.outcome is not CaseOutcome.MEASURED:
            return known.model_copy(update={"verdict": None})
        latency_us: int | None = getattr(found, f"success_{percentile}_us")
        shown = latency_us is not None and supported(found.successes, percentile.share)
        numbers = {
            "requests": found.requests,
            "successes": found.successes,
            "error_rate": found.error_rate,
            "percentile_ms": latency_us / _MS if shown and latency_us is not None else None,
            "found_by": result.found_by,
        }
        return known.model_copy(update=numbers)

    def sampled(self, index: int) -> Sampled | None:
        """A case's samples, where it counts as measured."""
        result = self._results.get(index)
        if result is None or result.measurement is None or result.outcome is not CaseOutcome.MEASURED:
            return None
        return sampled(result.measurement, self._samples.get(index), self._sizes, seed_of(self._run, index))


async def _looked(
    store: Store, before: ExecutionRow, after: ExecutionRow, plans: tuple[Plan, Plan], margins: Margins
) -> list[Looked]:
    """Every case of the later run: the services are the same, and so an index is the same case in both."""
    ours, theirs = _Reader(store, before, plans[0]), _Reader(store, after, plans[1])
    same_limits = not comparability.other_limits(*plans)
    found = []
    total = sum((await store.case_counts(after.execution_id)).values())
    for first in range(0, total, CHUNK):
        for reader in (ours, theirs):
            await reader.read(first, first + CHUNK)
        for case in await store.cases(after.execution_id, first, first + CHUNK):
            was, now = (reader.side(case.index, margins.percentile) for reader in (ours, theirs))
            earlier, later = ours.sampled(case.index), theirs.sampled(case.index)
            turned = flipped(was, now, same_limits=same_limits)
            seed = seed_of(after.execution_id, case.index)
            seen = evidence(earlier, later, margins, seed, any_counts=turned) if earlier and later else None
            found.append(Looked(case.index, case.case_id, was, now, seen, turned))
    return found
