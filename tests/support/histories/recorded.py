"""Recorded histories, and a replayer for them."""

from __future__ import annotations

import json

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.support.histories.record import (
    FOLDER,
)
from worker import WORKFLOWS, sandbox

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


def recorded(name: str) -> WorkflowHistory:
    """Load a recorded history."""
    kept = json.loads((FOLDER / f"{name}.json").read_text())
    return WorkflowHistory.from_json(kept["workflow_id"], kept["history"])


def replayer() -> Replayer:
    """Return a replayer that runs workflows as the worker does, in the sandbox."""
    return Replayer(workflows=WORKFLOWS, workflow_runner=sandbox(), data_converter=pydantic_data_converter)


def type_of(history: WorkflowHistory) -> str:
    """Return the type of a history's workflow."""
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name
