"""Reads two runs from the store and compares them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clients.store.read_models import Arm, CaseResult, ExecutionRow, StoredSamples
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.measuring import comparability
from domain.measuring.blocks import block_sizes, seed_of
from domain.measuring.load import CaseOutcome
from domain.measuring.statistics.support import supported
from domain.plans.plan import Plan
from domain.plans.slo import Percentile, Regression
from reports.compare.case_evidence import Sampled, evidence, samples_of_case
from reports.compare.changes import UndecidedCase, changes, is_newly_failing
from reports.compare.model import CaseSide, ComparedRun, Margins, RunComparison

CHUNK = 200
"""Cases whose samples are in memory at once. Each takes up to half a megabyte per run."""

_MS = 1_000


async def compared(
    store: Store, before: ExecutionRow, after: ExecutionRow, wanted: Mapping[str, Any] | None = None
) -> RunComparison:
    """Compare a later run with an earlier one.

    The same runs always give the same answer. `wanted` has fields of `Margins` that override the later run's plan
    (`slo.regression`).

    Raises:
        HoldfastError: NOT_COMPARABLE with every reason; otherwise as the store.
    """
    plans = await store.executions.plan(before.execution_id), await store.executions.plan(after.execution_id)
    _refuse(before, after, *plans)
    margins = margins_of(plans[1], wanted or {})
    cases = await _compare_cases(store, before, after, plans, margins)
    sides = [[getattr(case, side) for case in cases] for side in ("before", "after")]
    return RunComparison(
        before=_run(before, sides[0]),
        after=_run(after, sides[1]),
        margins=margins,
        remarks=_remarks(before, after, *plans),
        cases=changes(cases, margins),
    )


def margins_of(plan: Plan, wanted: Mapping[str, Any]) -> Margins:
    """Return the margins of the plan or their defaults, overridden by `wanted`."""
    regression = plan.slo.regression or Regression()
    planned = {
        "percentile": regression.percentile,
        "slower": regression.margin,
        "at_least_ms": regression.at_least.total_seconds() * _MS,
        "confidence": regression.confidence,
        "false_alarms": regression.false_alarms,
    }
    return Margins.model_validate(planned | dict(wanted))


def _refuse(before: ExecutionRow, after: ExecutionRow, plan_before: Plan, plan_after: Plan) -> None:
    if before.execution_id == after.execution_id:
        message = f"both are execution {before.execution_id}"
        raise HoldfastError(ErrorCode.NOT_COMPARABLE, message, hint="`holdfast list` shows the ids of other runs")
    for row in (before, after):
        if row.finished_at is None:
            message = f"execution {row.execution_id} of plan {row.plan} has not ended yet"
            raise HoldfastError(ErrorCode.NOT_COMPARABLE, message, hint=f"`holdfast watch {row.plan}` waits for it")
    reasons = comparability.differences(plan_before, plan_after)
    if reasons:
        message = f"executions {before.execution_id} and {after.execution_id} cannot be compared: {'. '.join(reasons)}"
        hint = "compare runs of the same request, load, services and environment; limits (`slo`) may differ"
        raise HoldfastError(ErrorCode.NOT_COMPARABLE, message, hint=hint)


def _remarks(before: ExecutionRow, after: ExecutionRow, plan_before: Plan, plan_after: Plan) -> list[str]:
    remarks = []
    if comparability.other_limits(plan_before, plan_after):
        remarks.append("the limits (slo) differ, so a changed verdict means nothing")
    if comparability.other_address(plan_before, plan_after):
        remarks.append("the environment had another address")
    if after.started_at < before.started_at:
        remarks.append("the first run is the later one: what is better here has become worse since")
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
        measured=sum(case.outcome is CaseOutcome.MEASURED for case in cases),
    )


class _Reader:
    """Reads one run's results and samples, chunk by chunk."""

    def __init__(self, store: Store, row: ExecutionRow, plan: Plan) -> None:
        self._store = store
        self._run = row.execution_id
        self._sizes = block_sizes(plan.load)
        self._results: dict[int, CaseResult] = {}
        self._samples: dict[int, StoredSamples] = {}

    async def read(self, first: int, end: int) -> None:
        """Load only the cases with first <= index < end."""
        self._results = {
            case_result.case_index: case_result
            for case_result in await self._store.results.between(self._run, first, end)
        }
        stored = await self._store.samples.between(self._run, first, end)
        self._samples = {samples.case_index: samples for samples in stored if samples.arm is Arm.CASE}

    def side(self, index: int, percentile: Percentile) -> CaseSide:
        """Return what became of a case in this run.

        Cases that do not count are returned without numbers.
        """
        result = self._results.get(index)
        if result is None:
            return CaseSide()
        known = CaseSide(outcome=result.outcome, verdict=result.verdict, reason=result.reason)
        measurement = result.measurement
        if measurement is None or result.outcome is not CaseOutcome.MEASURED:
            return known.model_copy(update={"verdict": None})
        latency_us: int | None = getattr(measurement, f"success_{percentile}_us")
        shown = latency_us is not None and supported(measurement.successes, percentile.share)
        numbers = {
            "requests": measurement.requests,
            "successes": measurement.successes,
            "error_rate": measurement.error_rate,
            "percentile_ms": latency_us / _MS if shown and latency_us is not None else None,
            "found_by": result.found_by,
        }
        return known.model_copy(update=numbers)

    def samples_of_case(self, index: int) -> Sampled | None:
        """Return a case's samples, or None unless it counts as measured."""
        result = self._results.get(index)
        if result is None or result.measurement is None or result.outcome is not CaseOutcome.MEASURED:
            return None
        return samples_of_case(result.measurement, self._samples.get(index), self._sizes, seed_of(self._run, index))


async def _compare_cases(
    store: Store, before: ExecutionRow, after: ExecutionRow, plans: tuple[Plan, Plan], margins: Margins
) -> list[UndecidedCase]:
    """Read and compare every case of the later run, undecided."""
    earlier_reader = _Reader(store, before, plans[0])
    later_reader = _Reader(store, after, plans[1])
    same_limits = not comparability.other_limits(*plans)
    cases = []
    # Both runs have the same services, so an index means the same case in both.
    total = sum((await store.cases.counts(after.execution_id)).values())
    for first in range(0, total, CHUNK):
        for reader in (earlier_reader, later_reader):
            await reader.read(first, first + CHUNK)
        for case in await store.cases.range(after.execution_id, first, first + CHUNK):
            side_before, side_after = (
                reader.side(case.index, margins.percentile) for reader in (earlier_reader, later_reader)
            )
            earlier = earlier_reader.samples_of_case(case.index)
            later = later_reader.samples_of_case(case.index)
            newly_failing = is_newly_failing(side_before, side_after, same_limits=same_limits)
            seed = seed_of(after.execution_id, case.index)
            case_evidence = (
                evidence(earlier, later, margins, seed, newly_failing=newly_failing) if earlier and later else None
            )
            cases.append(UndecidedCase(case.index, case.case_id, side_before, side_after, case_evidence, newly_failing))
    return cases
