"""Judges a trial once everything of it has ended: leaks first, then claims that are not true."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.measuring.load import CaseOutcome
from domain.timing import Timing, TimingPreset
from lab import Kind, Lab, LogEntry, PortChoice
from tests.support.leaks import checker
from tests.support.leaks.aftermath import Ending, untrue
from tests.support.leaks.checker import Seen
from tests.support.leaks.duo import BRISK, FAULTS, ONCE, TOPOLOGY, Duo
from tests.support.leaks.places import windows_of
from tests.support.leaks.sequences import CALLS, GONE, Sequence, Step
from tests.support.leaks.stages import Run
from tests.support.leaks.trial import Trial

REMEMBERED = Timing.of(TimingPreset.FAST).analyze_dedupe.total_seconds()
HASTY = BRISK.model_copy(update={"dedupe_seconds": REMEMBERED, "hang_limit": 3.0})
"""Settings whose proxy remembers an analysis as long as Holdfast assumes.

That is not longer than a second run waits.
"""

ENDINGS: dict[WorkflowExecutionStatus, Ending] = {
    WorkflowExecutionStatus.COMPLETED: (RunStatus.COMPLETED, None),
    WorkflowExecutionStatus.CANCELED: (RunStatus.CANCELLED, None),
    WorkflowExecutionStatus.TERMINATED: (RunStatus.FAILED, ErrorCode.TERMINATED),
    WorkflowExecutionStatus.TIMED_OUT: (RunStatus.TIMED_OUT, ErrorCode.DEADLINE_EXCEEDED),
}
"""What the record must show, by the server's status.

Of a failed run the server also knows the code.
"""


@dataclass
class Tried:
    """The result of a sequence."""

    sequence: Sequence
    wrong: list[str]
    met: list[Step] = field(default_factory=list)
    """The troubles whose moment came."""
    told: list[str] = field(default_factory=list)
    """Details to begin the search with.

    They come from lab, ledger and record, where something is wrong.
    """
    closing: timedelta | None = None
    """Time from the end of the run until nothing was on.

    It counts from the first request to end the run, if there was one. None: nothing was on.
    """


async def tried(temporal: Client, folder: Path, sequence: Sequence, patience: float = 300) -> Tried:
    """Try a run amid these troubles, on a lab of its own."""
    folder.mkdir(parents=True)
    async with (
        Lab(TOPOLOGY, settings=HASTY, ports=PortChoice.FREE) as lab,
        Duo(temporal, lab, folder) as bench,
        Trial(bench, sequence) as trial,
    ):
        try:
            async with asyncio.timeout(patience):
                await trial()
        except (TimeoutError, AssertionError) as error:
            seen = await checker.look(lab.addresses.admin)
            wrong = [f"never ended: {error!r}", *checker.still_on(seen)]
            return Tried(sequence, wrong, _met(trial), await _details(trial))
        met = _met(trial)
        wrong = await _wrong(trial)
        closing = None if sequence.lying else await _closing(trial)
        if sequence.lying:
            await trial.put_right()
            wrong += [
                f"after the peers told the truth again: {violation}"
                for violation in checker.still_on(await _seen(trial))
            ]
        return Tried(sequence, wrong, met, await _details(trial) if wrong else [], closing)


async def _seen(trial: Trial) -> Seen:
    return await checker.look(trial.bench.lab.addresses.admin)


async def _details(trial: Trial) -> list[str]:
    found = [
        f"{entry.on_at.utc:%H:%M:%S.%f} on, {f'{entry.off_at.utc:%H:%M:%S.%f}' if entry.off_at else 'not'} off:"
        f" {entry.kind} {entry.name} in {entry.service}, {entry.reason}"
        for entry in (await _seen(trial)).log
    ]
    for record in await trial.bench.store.executions.newest(9):
        found.append(f"{record.workflow_id}: {record.run_status} {record.error_code} {record.error_message}")
        found.append(f"recovery {record.recovery}, finished {record.finished_at}, verdict {record.verdict}")
        rows = await trial.bench.store.ledger.of(record.execution_id)
        found += [f"{row.kind} {row.service} is {row.state}: {row.detail}" for row in rows]
        found += [
            f"{line.ts:%H:%M:%S.%f} {line.message}" for line in await trial.bench.store.logs.of(record.execution_id)
        ]
    return [*found, *trial.bench.said.splitlines()[-40:]]


def _met(trial: Trial) -> list[Step]:
    calls = trial.bench.lab.calls
    by_peers = [
        step
        for step in trial.sequence.steps
        if not step.is_outside and (step.moment not in CALLS or calls[CALLS[step.moment][0]] >= CALLS[step.moment][1])
    ]
    return [*by_peers, *trial.applied]


async def _wrong(trial: Trial) -> list[str]:
    seen = await _seen(trial)
    found = [*trial.too_long, *checker.at_once(seen.log, faults=FAULTS), *_too_often(trial, seen)]
    if not trial.sequence.lying:
        found += checker.still_on(seen)
        found += checker.by_itself(_not_meant_to_expire(trial, seen.log))
        if trial.held:
            found += checker.unheld(seen.log, await windows_of(trial.bench.temporal, *trial.runs))
    for run in trial.runs:
        found += [f"{run.id}: {violation}" for violation in await _untrue(trial, run, seen)]
    return found


def _not_meant_to_expire(trial: Trial, log: list[LogEntry]) -> list[LogEntry]:
    """Return the entries that a peer's time limit should not have ended."""
    if trial.sequence.has(GONE):
        return []
    # An analysis that never ends is given up when its recordings are over anyway: both have the plan's time.
    stalls = trial.sequence.has("analysis-stalls")
    return [entry for entry in log if not (stalls and entry.kind is Kind.RECORDING)]


def _too_often(trial: Trial, seen: Seen) -> list[str]:
    runs, lost = len(trial.runs), trial.interrupted
    return [
        # Nobody knows whether a lost worker's call took place, so whatever exists of it is removed before it is
        # repeated.
        *checker.done_twice(seen, runs=runs, spare_rules=lost, spare_recordings=lost, once=ONCE),
        # The case in flight when a worker is lost is measured afresh.
        *checker.measured_twice(seen.counters, trial.requests * runs, spare=trial.requests * lost),
    ]


async def _untrue(trial: Trial, run: Run, seen: Seen) -> list[str]:
    status = (await run.describe()).status
    assert status is not None
    completed = status is WorkflowExecutionStatus.COMPLETED
    asked = completed and await _asked_to_end(run) is not None
    found = ["it was asked to cancel, and completed"] * asked
    if trial.reset_to:
        # Documented as unsupported: two runs of one id, perhaps with one record. Leaks are checked all the same.
        return found
    ending = await _failed(run) if status is WorkflowExecutionStatus.FAILED else ENDINGS[status]
    if ending[1] is ErrorCode.UNEXPECTED:
        found.append("it failed without a reason")
    record = await trial.bench.store.executions.latest_of(run.id)
    alone = len(trial.runs) == 1
    if record is None:
        return [*found, *["it has no record, and something was on"] * (alone and bool(seen.log))]
    if trial.sequence.lying:
        # A second run that was refused has nothing of its own to recover.
        touched = await windows_of(trial.bench.temporal, run)
        found += _false_recovery(record.recovery, seen) if touched else []
    else:
        found += await untrue(trial.bench, run, ending, alone=alone, held=trial.held)
    return found + (await _unmeasured(trial, record.execution_id, record.verdict, seen) if completed else [])


def _false_recovery(recovery: Recovery | None, seen: Seen) -> list[str]:
    """While something is on, recovery must be reported as unverified."""
    left = checker.still_on(seen)
    return [f"recovery {recovery}, and {left[0]}"] if left and recovery is not Recovery.UNVERIFIED else []


async def _unmeasured(trial: Trial, execution_id: int, verdict: Verdict | None, seen: Seen) -> list[str]:
    """Find cases measured or passed without requests at the lab."""
    results = {result.case_id: result for result in await trial.bench.store.results.all(execution_id)}
    measured = [
        result for result in results.values() if result.outcome is CaseOutcome.MEASURED and result.case_id != "baseline"
    ]
    sent = [n for header, n in checker.cases_in(seen.counters).items() if header and n >= trial.requests]
    found = [f"{len(measured)} cases are measured, for {len(sent)} the lab got requests"] * (len(measured) > len(sent))
    # The pair is what fails in this system. Unless it is measured, nothing may pass.
    pair = "left+right" in {result.case_id for result in measured}
    if verdict is not (Verdict.FAILED if pair else Verdict.INCONCLUSIVE):
        found.append(f"verdict {verdict}, and the pair was {'measured' if pair else 'not measured'}")
    lacking = [
        result for result in results.values() if result.outcome is not CaseOutcome.MEASURED and not result.reason
    ]
    return found + [f"{result.case_id} is {result.outcome} without a reason" for result in lacking]


async def _failed(run: Run) -> Ending:
    """Return how a failed run ended, according to the server."""
    try:
        await run.result()
    except WorkflowFailureError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.message and cause.type in ErrorCode.__members__:
            code = ErrorCode(cause.type)
            return RunStatus.FAILED, code
    return RunStatus.FAILED, ErrorCode.UNEXPECTED


async def _asked_to_end(run: Run) -> datetime | None:
    """Return when the server took the first request to cancel. The run was still open then."""
    async for event in run.fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
            return event.event_time.ToDatetime(UTC)
    return None


async def _closing(trial: Trial) -> timedelta | None:
    run = trial.runs[0]
    ended = (await run.describe()).close_time
    assert ended is not None
    ended = min(ended, await _asked_to_end(run) or ended)
    log = (await _seen(trial)).log
    off = [entry.off_at.utc for entry in log if entry.off_at is not None and entry.on_at.utc < ended < entry.off_at.utc]
    return max(off) - ended if off else None
