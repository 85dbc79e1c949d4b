"""How runs end, and what was active by then."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from domain.executions.execution import RunFailure
from tests.support.runs.bench import Bench

LONG_LOAD = {"requests": 400, "concurrency": 1}
"""Long enough that a run is still measuring when a test stops it."""


async def seen_on(bench: Bench, handle: WorkflowHandle[Any, Any], kind: str, state: str) -> None:
    await bench.until_state(
        handle, lambda run: any(row.kind == kind and row.state == state for row in run.windows), f"{kind} {state}"
    )


async def failure(bench: Bench, handle: object) -> RunFailure:
    """Wait until a run has failed, and return its failure."""
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()  # type: ignore[attr-defined]
    cause = raised.value.cause
    assert isinstance(cause, ApplicationError)
    found = RunFailure.model_validate(cause.details[0])
    assert cause.type == found.code
    return found
