"""`temporal workflow reset` is unsupported but does no harm: what the new run inherits does not count as its own."""

from __future__ import annotations

from domain.executions.windows import WindowChanged, WindowKind, WindowState
from domain.names import WINDOW_SIGNAL, lock_of
from domain.resilience.model import Phase
from lab import Misbehaviour
from lab.misbehaviour.misbehave import Action, Instruction
from lab.misbehaviour.names import Endpoint
from tests.support.runs.bench import Bench
from tests.support.runs.endings import seen_on


async def test_the_open_lock_of_a_different_run_opens_nothing(bench: Bench) -> None:
    """The server hands the new run the signals of the run that was reset, and the locks of both have the same id."""
    cannot_look = Instruction(endpoint=Endpoint.CHECK, action=Action.REFUSE_500)
    bench.lab.misbehave(Misbehaviour(instructions=[cannot_look]))
    handle = await bench.start(bench.small_plan("reviews"))
    await seen_on(bench, handle, "lock", "opening")
    (record,) = await bench.store.executions.unfinished()
    lock_id = lock_of(await bench.store.executions.get(record.execution_id))
    of_another = WindowChanged(window_id=lock_id, kind=WindowKind.LOCK, state=WindowState.OPEN, execution_id=1)
    await handle.signal(WINDOW_SIGNAL, of_another)
    state = await bench.status(handle)
    assert state is not None
    assert [(row.kind, row.state) for row in state.windows] == [(WindowKind.LOCK, WindowState.OPENING)]
    assert state.phase is Phase.GENERATING_CASES
    bench.lab.misbehave(Misbehaviour())
    assert (await handle.result()).cases.measured == 2
    await bench.lock_ended(handle)
