"""Recorded histories, and what replays them."""

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
    """One of them."""
    kept = json.loads((FOLDER / f"{name}.json").read_text())
    return WorkflowHistory.from_json(kept["workflow_id"], kept["history"])


def replayer() -> Replayer:
    """As the worker runs workflows, sandbox and all."""
    return Replayer(workflows=WORKFLOWS, workflow_runner=sandbox(), data_converter=pydantic_data_converter)


def type_of(history: WorkflowHistory) -> str:
    """The workflow's type."""
    return history.events[0].workflow_execution_started_event_attributes.workflow_type.name
