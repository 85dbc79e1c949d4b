"""A store with a run in it, and commands that are run on it in this process."""

from __future__ import annotations

import asyncio
from typing import Any

from click.testing import CliRunner

from cli.main import cli
from clients.store.store import Store
from domain.executions.execution import Execution
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.kind import KIND
from domain.resilience.model import NewExecution
from domain.timing import Timing
from tests.support.cli.terminal import plan_document

RUN_ID = "01a1fae8-64ee-714e-8278-c8dd898c75b9"
"""A UUID of version 7, made at 2026-11-20 21:41:36 UTC."""


async def stored_run(store: Store) -> Execution:
    document = plan_document("shop")
    # Its own addresses may be those of a lab that another process has just started, with something on.
    document["system"] |= {"proxy": "http://127.0.0.1:1", "faults": "http://127.0.0.1:2"}
    plan = Plan.model_validate(document)
    new = NewExecution(plan_json=canonical_json(plan), workflow_id=KIND.workflow_id("shop"), run_id=RUN_ID)
    return await store.executions.create(new, plan, Timing())


async def invoke(*arguments: str) -> Any:
    """Run a command in a thread, because it has an event loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, cli, list(arguments))
