"""Runs under way survive a new version of the workers: today's workflows replay recorded histories.

`tests/support/histories/record.py` describes how the histories are recorded.
"""

from __future__ import annotations

import json

import pytest
from temporalio.api.enums.v1 import EventType

from domain.names import WorkflowType
from tests.support.histories.record import (
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
from tests.support.histories.recorded import NAMES, recorded, replayer, type_of
from tests.support.paths import ROOT

WHOLE = {
    "finished": (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, KEPT_OF_FINISHED),
    "verified": (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, set(KEPT_OF_VERIFIED)),
    "failed": (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED, set(KEPT_OF_UNFINISHED)),
    "cancelled": (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED, set(KEPT_OF_UNFINISHED)),
}


@pytest.mark.timeout(90)
@pytest.mark.parametrize("name", NAMES)
async def test_todays_workflows_replay_a_recorded_history(name: str) -> None:
    """A workflow that would now decide differently gets stuck while something is active.

    The run turns that error into its own end, and the replayer then never returns: hence the short time limit.
    """
    await replayer().replay_workflow(recorded(name))


@pytest.mark.parametrize("how", WHOLE)
def test_histories_of_whole_runs_match_their_names(how: str) -> None:
    """A history of another kind would prove something else."""
    closed, kinds = WHOLE[how]
    histories = [recorded(name) for name in NAMES if name.startswith(how)]
    assert {type_of(history) for history in histories} == kinds
    # The lock always ends completed: the client that started the run waits for its report.
    ends = {type_of(run_history): run_history.events[-1].event_type for run_history in histories}
    if WorkflowType.ENVIRONMENT_LOCK in kinds:
        assert ends.pop(WorkflowType.ENVIRONMENT_LOCK) == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED
    assert set(ends.values()) == {closed}


@pytest.mark.parametrize("moment", HALF_OPEN)
def test_half_open_histories_were_taken_at_their_moment(moment: str) -> None:
    """The activity or child of that moment was under way."""
    kind, what = HALF_OPEN[moment]
    history = recorded(f"half-{moment}")
    assert type_of(history) == kind
    assert what in under_way(history)


@pytest.mark.parametrize("moment", CALLS_HALF_OPEN)
def test_half_discovered_histories_were_taken_at_their_moment(moment: str) -> None:
    _, kind, what = CALLS_HALF_OPEN[moment]
    history = recorded(f"calls-half-{moment}")
    assert type_of(history) == kind
    assert what in under_way(history)


@pytest.mark.parametrize("name", CALLS_FINISHED)
def test_histories_of_finished_discovery_are_whole(name: str) -> None:
    history = recorded(f"calls-finished-{name}")
    assert type_of(history) == name.partition("-")[0]
    assert history.events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED


def test_a_finished_run_discovered_in_three_rounds_with_two_faults() -> None:
    """A history without them would prove nothing about them."""
    events = recorded("calls-finished-ResilienceTest").events
    begun = [event.start_child_workflow_execution_initiated_event_attributes for event in events]
    kinds = [child.workflow_type.name for child in begun if child.workflow_id]
    assert kinds.count(WorkflowType.FAULT_WINDOW) == 4
    assert kinds.count(WorkflowType.PAIRS_WINDOW) == 1
    assert kinds.count(WorkflowType.CALLS_WINDOW) == 1


def test_the_history_of_several_faults_has_them_active_at_once() -> None:
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


def test_the_history_of_a_held_lock_has_not_ended() -> None:
    """Nothing is under way in it either."""
    history = recorded("half-lock-held")
    assert type_of(history) == WorkflowType.ENVIRONMENT_LOCK
    assert not under_way(history)
    assert history.events[-1].event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED


def test_no_history_names_the_machine_that_recorded_it() -> None:
    """The histories are published with the code."""
    here = str(ROOT)
    for name in NAMES:
        text = (FOLDER / f"{name}.json").read_text()
        assert here not in text
        assert set(_identities(json.loads(text))) == {"recorded"}


def _identities(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [str(value["identity"])] if "identity" in value else []
        return own + [identity for inner in value.values() for identity in _identities(inner)]
    return [identity for inner in value for identity in _identities(inner)] if isinstance(value, list) else []
