"""`holdfast halt`: every run ends and is cleaned up, and none starts until the halt is lifted."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError

from cli.commands.halt import _halt
from clients.store.read_models import Halt
from clients.store.repositories.halting import Halting
from clients.temporal.runs import RunDirectory
from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunFailure, RunStatus
from domain.executions.outcome import ExitCode, code_for
from domain.resilience.model import Phase
from lab import Lab, PortChoice
from tests.support.runs.bench import Bench, brisk_shop, until
from tests.support.runs.endings import LONG_LOAD
from tests.support.runs.fixtures import QUICK
from tests.support.runs.hand import holdfast


async def cause_of_end(handle: WorkflowHandle[Any, Any]) -> BaseException | None:
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    return raised.value.cause


async def refused(bench: Bench) -> RunFailure:
    """Start a run that must be refused now, and return its failure."""
    cause = await cause_of_end(await bench.start(bench.small_plan("reviews"), workflow_id=f"again/{bench.name}"))
    assert isinstance(cause, ApplicationError)
    return RunFailure.model_validate(cause.details[0])


async def test_halt_cancels_every_run_and_leaves_nothing_on(bench: Bench) -> None:
    """Two runs on two systems, and a third that waits for the first run's lock."""
    async with Lab(brisk_shop(), settings=QUICK, ports=PortChoice.FREE) as other:
        second = Bench(bench.temporal, other, bench.folder)
        first_run = await bench.start(bench.small_plan(load=LONG_LOAD))
        plan = second.small_plan(load=LONG_LOAD)
        second_run = await bench.start(plan, workflow_id=f"second/{bench.name}")
        await bench.until_phase(first_run, Phase.LOAD_TEST_BASELINE)
        await bench.until_phase(second_run, Phase.INJECTING_AND_REPLAYING)
        waiting = await bench.start(bench.small_plan(), workflow_id=f"waiting/{bench.name}", if_busy="wait")
        await bench.until_state(waiting, lambda state: bool(state.waiting_for), "a run that waits for the lock")
        result = await holdfast(bench, "halt", "--reason", "a fire", "--json")
        assert result.code == 0, result
        assert {row["workflow_id"] for row in result.facts["ended"]} == {first_run.id, second_run.id, waiting.id}
        assert {row["status"] for row in result.facts["ended"]} == {"cancelled"}
        assert result.facts["halt"]["reason"] == "a fire"
        assert bench.lab.state().clean
        assert other.state().clean
    for handle in (first_run, second_run, waiting):
        assert isinstance(await cause_of_end(handle), CancelledError)
    assert await bench.store.ledger.unsettled() == []


@pytest.mark.exhaustive
async def test_no_run_starts_while_holdfast_is_halted(bench: Bench) -> None:
    """The refused run and every other command show the reason, and nothing was touched. `unhalt` allows runs again."""
    assert (await holdfast(bench, "halt", "--reason", "a fire")).code == 0
    failure = await refused(bench)
    assert (failure.code, failure.recovery) == (ErrorCode.HALTED, Recovery.NOT_NEEDED)
    assert "a fire" in failure.message
    assert code_for(failure.code) is ExitCode.REFUSED
    (row,) = await bench.store.executions.newest(5)
    assert (row.run_status, row.error_code) == (RunStatus.FAILED, ErrorCode.HALTED)
    assert bench.lab.state().clean
    for command in (("list",), ("status", f"again/{bench.name}"), ("faults",)):
        result = await holdfast(bench, *command)
        assert result.code == 0, result
        assert "a fire" in result.out + result.err
    opened = await holdfast(bench, "unhalt")
    assert "no longer halted" in opened.out
    assert "halted" not in (await holdfast(bench, "list")).err
    handle = await bench.start(bench.small_plan("reviews"))
    await bench.until_phase(handle, Phase.ANALYZING_PATTERNS)
    await handle.cancel()
    await bench.lock_ended(handle)


@pytest.mark.exhaustive
async def test_halt_also_ends_a_run_that_read_the_flag_too_early(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flag is set before the runs are listed, and a run is stored before it reads the flag: none slips between."""
    (bench.folder / "temporal.toml").touch()
    monkeypatch.setenv("TEMPORAL_ADDRESS", bench.temporal.service_client.config.target_host)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(bench.folder / "temporal.toml"))
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", bench.settings.database_url)
    monkeypatch.setenv("HOLDFAST_TASK_QUEUE", bench.settings.task_queue)
    really_read, really_halt = Halting.halted, Halting.halt
    reads: list[Halt | None] = []
    runs: list[WorkflowHandle[Any, Any]] = []

    async def nothing_listed_yet(_: RunDirectory, __: str) -> list[tuple[str, str]]:
        return []

    async def noticed(halting: Halting) -> Halt | None:
        reads.append(await really_read(halting))
        return reads[-1]

    async def at_the_last_moment(halting: Halting, reason: str, by: str) -> Halt:
        runs.append(await bench.start(bench.small_plan(load=LONG_LOAD)))

        async def has_read() -> bool:
            return bool(reads)

        await until(has_read, "a run that has read the flag")
        return await really_halt(halting, reason, by)

    monkeypatch.setattr(Halting, "halted", noticed)
    monkeypatch.setattr(Halting, "halt", at_the_last_moment)
    # The server's own list may lag behind by seconds, so the store alone has to be enough.
    monkeypatch.setattr(RunDirectory, "open_runs", nothing_listed_yet)
    assert await _halt("a fire", wait=True, as_json=False) is ExitCode.PASSED
    assert reads == [None]
    assert (await runs[0].describe()).status is WorkflowExecutionStatus.CANCELED
    assert bench.lab.state().clean
