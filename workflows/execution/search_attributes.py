"""The search attributes of an execution.

Only its own workflow sets them, and only if the server knows them.
"""

from __future__ import annotations

from collections.abc import Collection

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributeUpdate

from domain.executions.execution import Recovery
from domain.executions.state import ExecutionState
from domain.names import SearchAttribute

_LONGEST = 200
"""Characters of a search attribute. The server takes 2 KiB."""


def publish(state: ExecutionState, missing: Collection[str] = ()) -> None:
    """Upsert the search attributes that have changed, without those that the server does not have.

    Without a change, this costs no event.
    """
    # Recovery changes with every window. So it is published only at the end of the run, or as soon as it is unverified.
    show_recovery = state.finished_at is not None or state.recovery is Recovery.UNVERIFIED
    facts = {
        SearchAttribute.KIND: state.kind or None,
        SearchAttribute.PLAN: state.name,
        SearchAttribute.NAMESPACE: state.namespace,
        SearchAttribute.TEAM: state.team or None,
        SearchAttribute.PHASE: state.step,
        SearchAttribute.VERDICT: state.verdict.value if state.verdict else None,
        SearchAttribute.RECOVERY: state.recovery.value if state.recovery and show_recovery else None,
    }
    # The server terminates a workflow that sets a longer value than it takes.
    facts = {name: value if value is None else value[:_LONGEST] for name, value in facts.items() if name not in missing}
    known = workflow.info().typed_search_attributes
    updates: list[SearchAttributeUpdate[str]] = []
    for name, value in facts.items():
        key = SearchAttributeKey.for_keyword(name)
        if known.get(key) == value:
            continue
        updates.append(key.value_unset() if value is None else key.value_set(value))
    if updates:
        workflow.upsert_search_attributes(updates)
