"""Query for listing runs, narrowed by a filter."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlmodel import col

from clients.store.read_models import RunFilter
from clients.store.schema.tables import PlanSnapshot, TaskExecution

NEWEST_FIRST = (
    select(TaskExecution, col(PlanSnapshot.name))
    .join(PlanSnapshot, col(TaskExecution.task_id) == col(PlanSnapshot.id), isouter=True)
    .order_by(col(TaskExecution.created_at).desc(), col(TaskExecution.id).desc())
)
"""Query for every run with its plan's name, newest first.

It does not read the plan's text, which may be long.
"""


def narrowed(runs: Select[TaskExecution, str], only: RunFilter) -> Select[TaskExecution, str]:
    """Narrow `NEWEST_FIRST` to the runs that match a filter."""
    if only.plan is not None:
        runs = runs.where(col(PlanSnapshot.name) == only.plan)
    if only.namespace is not None:
        runs = runs.where(col(TaskExecution.namespace) == only.namespace)
    if only.kinds:
        runs = runs.where(col(TaskExecution.kind).in_(only.kinds))
    choices: list[tuple[Any, Sequence[StrEnum]]] = [
        (TaskExecution.run_status, only.statuses),
        (TaskExecution.verdict, only.verdicts),
        (TaskExecution.recovery, only.recoveries),
    ]
    for column, values in choices:
        if values:
            runs = runs.where(col(column).in_([value.value for value in values]))
    if only.since is not None:
        runs = runs.where(col(TaskExecution.started_at) >= only.since)
    return runs if only.before is None else _before(runs, only.before)


def _before(runs: Select[TaskExecution, str], execution_id: int) -> Select[TaskExecution, str]:
    """Keep only runs older than a given run."""
    # A page that starts at a run, not at an offset, stays the same while new runs arrive.
    created = col(TaskExecution.created_at)
    number = col(TaskExecution.id)
    then = select(created).where(number == execution_id).scalar_subquery()
    return runs.where(or_(created < then, and_(created == then, number < execution_id)))
