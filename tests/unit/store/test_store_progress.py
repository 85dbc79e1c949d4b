"""The progress of a run, as rows that are written once or replaced, and never after the run's end."""

from __future__ import annotations

from clients.store.store import Store
from domain.executions.execution import Ending, FinalStep, Recovery, RunStatus
from domain.measuring.steady_report import SteadyMoment, SteadyReport
from domain.pairs.fidelity import PairChoice
from domain.resilience.model import Phase, PhaseChange

PHASES = [Phase.ANALYZING_PATTERNS, Phase.RULES_READY]


async def ended(store: Store, run: int) -> None:
    ending = Ending(execution_id=run, status=RunStatus.FAILED, phase=FinalStep.FAILED, recovery=Recovery.VERIFIED)
    await store.executions.finish(ending)


async def test_a_repeated_phase_keeps_its_first_time(store: Store, run: int) -> None:
    for phase in PHASES:
        await store.executions.change_phase(PhaseChange(execution_id=run, phase=phase))
    first = await store.progress.phases(run)
    await store.executions.change_phase(PhaseChange(execution_id=run, phase=PHASES[0]))
    assert await store.progress.phases(run) == first
    assert [phase for phase, _ in first] == PHASES


async def test_an_ended_run_enters_no_phase(store: Store, run: int) -> None:
    await ended(store, run)
    await store.executions.change_phase(PhaseChange(execution_id=run, phase=PHASES[0]))
    assert await store.progress.phases(run) == []


async def test_the_last_of_repeated_checks_and_choices_is_kept(store: Store, run: int) -> None:
    for met, chosen in ((False, 1), (True, 2)):
        await store.progress.save_steady(
            run, SteadyMoment.BEFORE, SteadyReport(met=met, detail="" if met else "status 500")
        )
        await store.progress.save_pair_choice(run, PairChoice(asked_for=True, share=25, measured=9, chosen=chosen))
    assert await store.progress.steady(run) == {SteadyMoment.BEFORE: SteadyReport(met=True)}
    assert await store.progress.pair_choice(run) == PairChoice(asked_for=True, share=25, measured=9, chosen=2)


async def test_no_checks_and_choices_are_stored_after_the_end(store: Store, run: int) -> None:
    await ended(store, run)
    await store.progress.save_steady(run, SteadyMoment.AFTER, SteadyReport(met=True))
    await store.progress.save_pair_choice(run, PairChoice(asked_for=False, measured=1, chosen=1))
    assert (await store.progress.steady(run), await store.progress.pair_choice(run)) == ({}, None)
