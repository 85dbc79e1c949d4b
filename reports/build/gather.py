"""Builds the report of a run from what is stored.

This package is the only place that reads the store and computes numbers for a report.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from clients.store.read_models import Arm
from clients.store.store import Store
from domain.plans.environments import environment_in
from domain.plans.plan import Plan
from domain.plans.slo import Percentile
from reports.build.cases import Distributions, case_reports
from reports.build.coverage import coverage
from reports.build.distributions import distribution_of
from reports.build.fallbacks import fallback_report, grounds, with_real_faults
from reports.build.interactions import pair_cells
from reports.build.plan_texts import load_in_words, plan_yaml, request_in_words, slo_in_words
from reports.build.reading import StoredRun, read_run, worth_keeping
from reports.build.services import service_reports
from reports.build.stored_state import state_of
from reports.build.timelines import timeline
from reports.model.report import CaseReport, EnvironmentReport, Report
from reports.text.sentences import recovery_sentence, verdict_sentence

MOST_REPORTED_CASES = 20_000
"""Cases in a report: all of two hundred services. A browser would hardly open many more."""

MOST_DISTRIBUTIONS = 6_000
"""Cases whose latency distributions are shown: all of a hundred services."""

_CHUNK = 500
"""Cases whose samples are read at once. Each may have a megabyte of them."""


async def gather(store: Store, execution_id: int) -> Report:
    """Build the report of a run, whether ended or still under way.

    Raises:
        HoldfastError: NOT_FOUND for an unknown run, STORE_UNAVAILABLE.
    """
    row = await store.executions.row(execution_id)
    sha256 = (await store.executions.get(execution_id)).plan_sha256
    run = await read_run(store, row, most_cases=MOST_REPORTED_CASES, worst_of_more=True)
    return _report(run, await _distributions(store, run), sha256)


def _report(run: StoredRun, distributions: Distributions, sha256: str) -> Report:
    state = state_of(run)
    cases = case_reports(run, distributions, MOST_REPORTED_CASES - len(run.results.kept))
    reports = with_real_faults(cases.reports, run)
    verified = {pair.case_index: pair.finding.outcome for pair in run.checked}
    return Report(
        holdfast_version=own_version(),
        written_at=datetime.now(UTC),
        title=title_of(run.row.plan, run.row.started_at),
        verdict_sentence=verdict_sentence(state),
        recovery_sentence=recovery_sentence(state),
        run=state,
        services=service_reports(run, state),
        cases=reports,
        cases_left_out=cases.left_out,
        controls=cases.controls,
        pairs=pair_cells(cases, run.plan, verified),
        fallback=fallback_report(run),
        grounds=grounds(run, reports),
        shown_percentile=_shown_percentile(cases.reports),
        timeline=timeline(run, state),
        coverage=coverage(run, state.cases, cases.reports),
        environment=_environment_of_run(run, sha256),
        plan_yaml=plan_yaml(run.plan),
    )


def own_version() -> str:
    """Return the installed version of Holdfast, or `unknown`."""
    try:
        return version("holdfast")
    except PackageNotFoundError:
        return "unknown"


def title_of(plan: str, started_at: datetime) -> str:
    """Return the title of a report."""
    return f"{plan}, {started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


async def _distributions(store: Store, run: StoredRun) -> Distributions:
    """Read the distributions of the reported cases; of too many, the worst."""
    wanted = {result.case_index for result in worth_keeping(run.results.kept, MOST_DISTRIBUTIONS)}
    distributions: dict[tuple[int, Arm], list[tuple[int, int]] | None] = {}
    for first in range(0, max(wanted, default=-1) + 1, _CHUNK):
        if wanted.isdisjoint(range(first, first + _CHUNK)):
            continue
        for samples in await store.samples.between(run.row.execution_id, first, first + _CHUNK):
            if samples.case_index in wanted:
                distributions[samples.case_index, samples.arm] = distribution_of(samples)
    return distributions


def _shown_percentile(cases: list[CaseReport]) -> Percentile:
    has_p95_ratio = any(case.p95_ratio is not None for case in cases)
    return Percentile.P95 if has_p95_ratio or all(case.p50_ratio is None for case in cases) else Percentile.P50


def environment_report(plan: Plan, **more: str) -> EnvironmentReport:
    """Describe where a plan's run takes place, and what writes the report."""
    facts = {
        "environment": environment_in(plan),
        "namespace": plan.system.namespace,
        "proxy": plan.system.proxy,
        "fault_service": plan.system.faults,
        "request": request_in_words(plan),
        "load": load_in_words(plan),
        "slo": slo_in_words(plan),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    return EnvironmentReport.model_validate(facts | more)


def _environment_of_run(run: StoredRun, sha256: str) -> EnvironmentReport:
    return environment_report(
        run.plan,
        workflow_id=run.row.workflow_id,
        workflow_run_id=run.row.run_id,
        requested_by=run.row.requested_by,
        plan_sha256=sha256,
    )
