"""Every activity that a worker offers."""

from __future__ import annotations

from typing import Any

from temporalio import activity

from activities.toolbox import Toolbox
from domain.timing import Timing
from worker import build_activities


def offered() -> list[Any]:
    nothing: Any = None
    tools = Toolbox(store=nothing, secrets=nothing, load=nothing, canary=nothing)
    built = build_activities(tools, nothing, Timing())
    return [*built.control, *built.load]


def name_of(work: Any) -> str:
    return str(activity._Definition.must_from_callable(work).name)
