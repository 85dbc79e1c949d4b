"""Every single response of a peer lost once, in turn; also with an error after the effect, and with corrupt ones.

An undisturbed run shows how often each endpoint is called. Whatever a lost response costs is reported: nothing stays on
by the lab's own log (`checker.py`), and nothing passes that was not measured.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

import worker
from clients.store.read_models import CaseResult
from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunFailure, Verdict
from domain.measuring.load import CaseOutcome
from domain.resilience.model import ResilienceSummary
from lab import Action, Endpoint, Instruction, Lab, Misbehaviour, PortChoice
from tests.support.leaks import checker
from tests.support.leaks.duo import FAULTS, PATIENT, REQUESTS, TOKENS, TOPOLOGY, Duo
from tests.support.leaks.places import windows_of

AT_ONCE = 2
LOST = (Action.ACT_THEN_DROP, Action.ACT_THEN_500)
SPOILT = (Action.GARBAGE, Action.ACT_THEN_TRUNCATE, Action.ACT_THEN_FLOOD, Action.HANG)
PARTS = 4
"""Parts of the enumeration, so that it can be shared out."""
MOST_OF_ONE = 6
"""Calls of one endpoint that are lost in turn.

Where an endpoint is polled, these are its first calls.
"""

ONCE = {
    Endpoint.ANALYZE,
    Endpoint.RECORDING_START,
    Endpoint.EXECUTE,
    Endpoint.REPLAY,
    Endpoint.UPSERT,
    Endpoint.FAULT_DELETE,
}
"""Endpoints that every run calls as often as the undisturbed run."""


async def calls_of_a_run(temporal: Client, folder: Path) -> Counter[str]:
    """Count how often an undisturbed run calls each endpoint."""
    folder.mkdir()
    async with Lab(TOPOLOGY, settings=PATIENT, ports=PortChoice.FREE) as lab:
        bench = Duo(temporal, lab, folder)
        async with worker.running(temporal, bench.settings), bench:
            handle = await bench.start()
            await handle.result()
            await bench.lock_ended(handle)
            return Counter(lab.calls)


async def lost(temporal: Client, folder: Path, action: Action, endpoint: Endpoint, nth: int) -> list[str]:
    """Try a run that loses one response. Returns what is wrong in the end."""
    folder.mkdir()
    async with Lab(TOPOLOGY, settings=PATIENT, ports=PortChoice.FREE) as lab:
        lab.misbehave(Misbehaviour(instructions=[Instruction(endpoint=endpoint, action=action, nth=nth)]))
        bench = Duo(temporal, lab, folder)
        async with worker.running(temporal, bench.settings), bench:
            handle = await bench.start()
            ended: ResilienceSummary | RunFailure
            try:
                ended = await handle.result()
            except WorkflowFailureError as error:
                if not isinstance(error.cause, ApplicationError):
                    return [f"an end without a reason: {error.cause!r}"]
                ended = RunFailure.model_validate(error.cause.details[0])
            report = await bench.lock_ended(handle)
            seen = await checker.look(lab.addresses.admin)
            windows = await windows_of(temporal, handle)
            results = {result.case_id: result for result in await bench.store.results.all(ended.execution_id or 0)}
        if endpoint in ONCE and lab.calls[endpoint] < nth:
            return ["the response was never lost"]
    found = [*checker.still_on(seen), *checker.at_once(seen.log, faults=FAULTS), *checker.unheld(seen.log, windows)]
    found += checker.by_itself(seen.log)
    if report is None or not report.recovery_verified or ended.recovery is not Recovery.VERIFIED:
        found.append(f"recovery is not what the lab says: {ended.recovery}, {report}")
    return found + (_unexplained(ended) if isinstance(ended, RunFailure) else _untrue(ended, results, seen))


def _unexplained(failure: RunFailure) -> list[str]:
    """Check that a failed run gives a reason."""
    no_lines = failure.code is ErrorCode.UNEXPECTED or not failure.message
    return [f"no reason: {failure.code}: {failure.message}"] if no_lines else []


def _untrue(summary: ResilienceSummary, results: dict[str, CaseResult], seen: checker.Seen) -> list[str]:
    """Return the claims about cases that the lab does not confirm."""
    found = []
    # The pair is what fails in this system. Unless it is measured, nothing may pass.
    pair = results["left+right"].outcome is CaseOutcome.MEASURED
    if summary.verdict is not (Verdict.FAILED if pair else Verdict.INCONCLUSIVE):
        found.append(f"verdict {summary.verdict} with a pair that was {results['left+right'].outcome}")
    sent = checker.cases_in(seen.counters)
    for token, case in zip(TOKENS[1:], ("left", "right", "left+right"), strict=True):
        result = results[case]
        if sent[token] != (REQUESTS if result.outcome is CaseOutcome.MEASURED else 0):
            found.append(f"{case} was {result.outcome}, and {sent[token]} requests were sent for it")
        if result.outcome is not CaseOutcome.MEASURED and not result.reason:
            found.append(f"{case} was {result.outcome} without a reason")
    return found


async def all_lost(
    temporal: Client, folder: Path, action: Action, calls: list[tuple[Endpoint, int]]
) -> dict[str, list[str]]:
    """Lose each of these responses, some runs at a time.

    Returns what is wrong, by lost response.
    """
    slots = asyncio.Semaphore(AT_ONCE)

    async def lose(endpoint: Endpoint, nth: int) -> list[str]:
        async with slots:
            return await lost(temporal, folder / f"{endpoint}-{nth}", action, endpoint, nth)

    found = await asyncio.gather(*(lose(*call) for call in calls))
    return {f"{endpoint} {nth}": wrong for (endpoint, nth), wrong in zip(calls, found, strict=True) if wrong}


async def test_a_lost_response_to_switching_on_leaves_nothing_on(temporal: Client, tmp_path: Path) -> None:
    """A sample of the tests below, small enough for every day."""
    calls = [(Endpoint.RECORDING_START, 1), (Endpoint.EXECUTE, 1), (Endpoint.UPSERT, 1)]
    assert await all_lost(temporal, tmp_path, Action.ACT_THEN_DROP, calls) == {}


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("action", LOST)
async def test_any_lost_response_leaves_nothing_on(temporal: Client, tmp_path: Path, action: Action, part: int) -> None:
    """Each response of a run, in turn."""
    counted = await calls_of_a_run(temporal, tmp_path / "undisturbed")
    assert set(ONCE) <= set(counted)
    calls = [(endpoint, nth) for endpoint in Endpoint for nth in range(1, min(counted[endpoint], MOST_OF_ONE) + 1)]
    assert await all_lost(temporal, tmp_path, action, calls[part::PARTS]) == {}


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize("action", SPOILT)
async def test_any_corrupt_response_leaves_nothing_on(temporal: Client, tmp_path: Path, action: Action) -> None:
    """The first of each endpoint: no JSON, half of it, too much of it, or none for as long as anybody waits."""
    counted = await calls_of_a_run(temporal, tmp_path / "undisturbed")
    calls = [(endpoint, 1) for endpoint in Endpoint if counted[endpoint]]
    assert await all_lost(temporal, tmp_path, action, calls) == {}
