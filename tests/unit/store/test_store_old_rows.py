"""Rows of the original orchestrator are read with their old phases, which Holdfast never writes."""

from __future__ import annotations

from typing import Any, get_type_hints

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from clients.store.engine import writing
from clients.store.store import Store
from domain.executions import execution, windows
from domain.executions import state as execution_state
from domain.executions.execution import Ending, Recovery, RunStatus
from domain.resilience import state as resilience_state
from domain.resilience.model import OldPhase, Phase, PhaseChange

INSERT = """
INSERT INTO task_execution (id, task_id, namespace, req_def_id, request_num, status, started_at, created_at,
    updated_at, workflow_id, run_id, run_status, environment, requested_by, timing_json, error_phase)
SELECT id + 1, task_id, namespace, req_def_id, request_num, :phase, started_at, created_at,
    updated_at, 'old/shop', 'old-run', 'failed', environment, requested_by, timing_json, :phase
FROM task_execution WHERE id = :id
"""


@pytest.mark.parametrize("phase", OldPhase)
async def test_old_phases_are_read_by_every_reader_of_runs(store: Store, run: int, phase: OldPhase) -> None:
    """By id, as the latest of a workflow, and in the list. The phase of an error is read too."""
    async with writing(store.engine) as work:
        await work.execute(text(INSERT), {"phase": phase.value, "id": run})
    row = await store.executions.row(run + 1)
    assert (row.status, row.error_phase, row.run_status) == (phase, phase, RunStatus.FAILED)
    assert f'"status":"{phase.value}"' in row.model_dump_json()
    assert await store.executions.latest_of("old/shop") == row
    assert row in await store.executions.newest(10)
    assert (await store.executions.get(run + 1)).execution_id == run + 1


async def test_an_old_run_that_continues_gets_a_new_phase(store: Store, run: int) -> None:
    async with writing(store.engine) as work:
        await work.execute(text("UPDATE task_execution SET status = 'INIT'"))
    await store.executions.change_phase(PhaseChange(execution_id=run, phase=Phase.ANALYZING_PATTERNS))
    assert (await store.executions.row(run)).status is Phase.ANALYZING_PATTERNS


@pytest.mark.parametrize("phase", [*OldPhase, *(old.value for old in OldPhase)])
def test_old_phases_cannot_be_written(phase: Any) -> None:
    """Every message that carries a phase to the store refuses them."""
    ending = {"execution_id": 1, "status": RunStatus.FAILED, "recovery": Recovery.VERIFIED}
    with pytest.raises(ValidationError):
        PhaseChange(execution_id=1, phase=phase)
    with pytest.raises(ValidationError):
        Ending.model_validate(ending | {"phase": phase})


def test_only_stored_rows_may_have_an_old_phase() -> None:
    """No contract of a workflow or an activity allows them."""
    for module in (execution, execution_state, resilience_state, windows):
        for name, model in vars(module).items():
            if isinstance(model, type) and hasattr(model, "model_fields"):
                assert "OldPhase" not in str(get_type_hints(model)), name
    assert not {old.value for old in OldPhase} & {old.value for old in Phase}
