"""Runs that are held while a fault is active."""

from __future__ import annotations

from typing import Any

from temporalio.client import WorkflowHandle

from lab import Misbehaviour
from lab.misbehaviour.misbehave import Action, Instruction
from lab.misbehaviour.names import Endpoint
from tests.support.runs.bench import Bench
from tests.support.runs.endings import seen_on

REPLAY_HANGS = Misbehaviour(instructions=[Instruction(endpoint=Endpoint.REPLAY, action=Action.HANG)])


async def fault_on(bench: Bench, **changes: Any) -> WorkflowHandle[Any, Any]:
    """Start a run that has a fault on, and keeps it on. `changes` are sections of its plan."""
    bench.lab.misbehave(REPLAY_HANGS)
    handle = await bench.start(bench.small_plan("reviews", **changes))
    await seen_on(bench, handle, "fault", "open")
    return handle
