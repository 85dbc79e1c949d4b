"""Runs that are under way survive a new version of the workers: what was recorded is replayed by today's workflows.

`record_histories.py` says how the histories came to be.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from tests.workflows.record_histories import (
    CALLS_FINISHED,
    CALLS_HALF_OPEN,
    FOLDER,
    HALF_OPEN,
    KEPT_OF_FINISHED,
    KEPT_OF_UNFINISHED,
    KEPT_OF_VERIFIED,
    SEVERAL,
    under_way,
)
from worker import WORKFLOWS, sandbox
from workflows.names import WorkflowType

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
WHOLE = {
    "finished": (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, KEPT_OF_FINISHED),
    "verified": (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, set(KEPT_OF_VERIFIED)),
    "failed": (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED, set(KEPT_OF_UNFINISHED)),
    "cancelled": (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED, set(KEPT_OF_UNFINISHED)),
}


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


@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", NAMES)
async def test_today_s_workflows_replay_it(name: str) -> None:
    """A workflow that would now decide otherwise gets stuck in the middle of something that is on.

    The run turns that error into its own end, and the replayer then never comes back: hence a short time of its own.
    """
    await replayer().replay_workflow(recorded(name))


@pytest.mark.parametrize("how", WHOLE)
def test_whole_runs_ended_as_their_names_say(how: str) -> None:
    """A history of another kind would prove something else."""
    closed, kinds = WHOLE[how]
    histories = [recorded(name) for name in NAMES if name.startswith(how)]
    assert {type_of(history) for history in histories} == kinds
    # The lock always ends completed: its report is what whoever started the run waits for.
    ends = {type_of(one): one.events[-1].event_type for one in histories}
    if WorkflowType.ENVIRONMENT_LOCK in kinds:
        assert ends.pop(WorkflowType.ENVIRONMENT_LOCK) == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    assert set(ends.values()) == {closed}


@pytest.mark.parametrize("moment", HALF_OPEN)
def test_half_open_windows_are_half_open(moment: str) -> None:
    """What the name says was under way when it was taken."""
    kind, what = HALF_OPEN[moment]
    history = recorded(f"half-{moment}")
    assert type_of(history) == kind
    assert what in under_way(history)


@pytest.mark.parametrize("moment", CALLS_HALF_OPEN)
def test_half_discovered_calls_are_half_discovered(moment: str) -> None:
    _, kind, what = CALLS_HALF_OPEN[moment]
    history = recorded(f"calls-half-{moment}")
    assert type_of(history) == kind
    assert what in under_way(history)


@pytest.mark.parametrize("name", CALLS_FINISHED)
def test_discovery_is_kept_whole(name: str) -> None:
    history = recorded(f"calls-finished-{name}")
    assert type_of(history) == name.partition("-")[0]
    assert history.events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED


def test_a_finished_run_discovered_in_three_rounds_with_two_faults() -> None:
    """A history without them would prove nothing for them."""
    events = recorded("calls-finished-ResilienceTest").events
    begun = [one.start_child_workflow_execution_initiated_event_attributes for one in events]
    kinds = [one.workflow_type.name for one in begun if one.workflow_id]
    assert kinds.count(WorkflowType.FAULT_WINDOW) == 4
    assert kinds.count(WorkflowType.PAIRS_WINDOW) == 1
    assert kinds.count(WorkflowType.CALLS_WINDOW) == 1


def test_several_faults_were_on_at_once_where_the_name_says_so() -> None:
    """As many as the plan allowed, and never more."""
    events = recorded("several-ResilienceTest").events
    open_windows, most = set[int](), 0
    for event in events:
        begun = event.start_child_workflow_execution_initiated_event_attributes
        if begun.workflow_type.name == WorkflowType.FAULT_WINDOW:
            open_windows.add(event.event_id)
        open_windows.discard(event.child_workflow_execution_completed_event_attributes.initiated_event_id)
        most = max(most, len(open_windows))
    assert most == SEVERAL


def test_the_held_lock_is_held() -> None:
    """Nothing is under way in it, and it has not ended."""
    history = recorded("half-lock-held")
    assert type_of(history) == WorkflowType.ENVIRONMENT_LOCK
    assert not under_way(history)
    assert history.events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


def test_nothing_is_kept_that_names_the_machine() -> None:
    """The histories are published with the code."""
    here = str(Path(__file__).parents[2])
    for name in NAMES:
        text = (FOLDER / f"{name}.json").read_text()
        assert here not in text
        assert set(_identities(json.loads(text))) == {"recorded"}


def _identities(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [str(value["identity"])] if "identity" in value else []
        return own + [one for inner in value.values() for one in _identities(inner)]
    return [one for inner in value for one in _identities(inner)] if isinstance(value, list) else []
