"""Each different request has one row, written with the run that needs it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import text

from clients.http.request_definitions import definition_of
from clients.store.engine import reading
from clients.store.repositories import executions
from clients.store.store import Store
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Execution
from domain.plans.canonical import canonical_json
from domain.resilience.model import NewExecution
from tests.support.store.samples import FAST, new_execution, shop_plan, stored_request

SECRET = "hunter2-correct-horse"  # noqa: S105 - what must not be stored


async def run_with(store: Store, run_id: str, **changes: Any) -> Execution:
    plan = shop_plan(**changes)
    new = NewExecution(plan_json=canonical_json(plan), workflow_id="w", run_id=run_id)
    return await store.executions.create(new, plan, FAST)


async def rows(store: Store) -> list[dict[str, Any]]:
    async with reading(store.engine) as work:
        found = await work.execute(text("SELECT * FROM http_req_def ORDER BY id"))
        return [dict(row) for row in found.mappings()]


async def test_a_run_has_the_row_of_its_request(store: Store, execution: Execution) -> None:
    """Under the id that the run, its record and its status show."""
    expected = definition_of(shop_plan())
    assert execution.req_def_id == expected.id
    assert (await store.executions.row(execution.execution_id)).req_def_id == expected.id
    assert await stored_request(store, execution.req_def_id) == expected
    (row,) = await rows(store)
    assert (row["code"], row["method"], row["url_template"]) == (expected.code, "GET", expected.url_template)
    assert (row["body_mode"], row["body_template"], row["raw_body"], row["api_id"]) == ("NONE", None, None, None)


async def test_equal_requests_share_one_row(store: Store, other_store: Store) -> None:
    """However many plans, runs and workers use it. A different request gets its own row."""
    same = [
        run_with(writer, f"run-{number}", name=f"plan-{number}", load={"requests": number + 1})
        for number, writer in enumerate((store, other_store) * 3)
    ]
    runs = await asyncio.gather(*same)
    assert len({run.req_def_id for run in runs}) == 1
    assert len({run.task_id for run in runs}) == 6
    different = await run_with(store, "other", request={"url": "http://127.0.0.1:1/"})
    assert sorted(row["id"] for row in await rows(store)) == sorted({runs[0].req_def_id, different.req_def_id})


REQUESTS: list[dict[str, Any]] = [
    {"method": "POST", "json": {"a": ["ü", 1.5, None, {"b": False}]}},
    {"method": "POST", "json": "text"},
    {"method": "POST", "json": 0},
    {"method": "PUT", "form": {"a": ["1", "2"], "b": ""}, "query": {"z": "1", "a": ["x", "y"]}},
    {"method": "PATCH", "raw": "line\n\u0000\U0001f600" + "x" * 100_000},
    {"headers": {"Authorization": "Bearer ${env:TOKEN}", "X-Long": "y" * 10_000}, "timeout": "7m"},
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda value: str(value)[:40])
async def test_a_request_is_read_back_unchanged(store: Store, request_: dict[str, Any]) -> None:
    """With every kind of body, in the order of its fields, and with text that databases dislike."""
    parts = {"url": "http://127.0.0.1:18080/x?a=b", "repeatable": True} | request_
    run = await run_with(store, "run", request=parts)
    expected = definition_of(shop_plan(request=parts))
    found = await stored_request(store, run.req_def_id)
    if expected.raw_body is not None:
        expected = expected.model_copy(update={"raw_body": expected.raw_body.replace("\0", "\ufffd")})
    assert found == expected
    assert list(found.query_params) == list(expected.query_params)


async def test_the_row_of_a_request_contains_no_secret(store: Store) -> None:
    """References stay as written. Values that the plan calls secret, or that always are, are replaced."""
    request = {
        "method": "POST",
        "url": "http://127.0.0.1:18080/x",
        "repeatable": True,
        "headers": {"authorization": f"Basic {SECRET}${{env:T}}", "x-key": "${env:KEY}"},
        "query": {"token": SECRET},
        "json": {"deep": [{"token": SECRET}], "other": "${env:OTHER}"},
    }
    await run_with(store, "run", request=request, redact=["Token"])
    (row,) = await rows(store)
    written = json.dumps(row, default=str)
    assert SECRET not in written
    assert "${env:KEY}" in written
    assert "${env:OTHER}" in written


async def test_a_repeated_creation_keeps_the_request_of_the_run(store: Store, execution: Execution) -> None:
    """A run keeps the request that it was created with."""
    again = await run_with(store, "run-1", request={"url": "http://127.0.0.1:1/"})
    assert again == execution
    assert [row["id"] for row in await rows(store)] == [execution.req_def_id]


async def test_a_run_that_is_not_stored_leaves_no_request(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are written in one transaction, or neither."""

    async def broken(*_: object) -> None:
        raise HoldfastError(ErrorCode.STORE_UNAVAILABLE, "gone")

    monkeypatch.setattr(executions, "insert_under_own_id", broken)
    with pytest.raises(HoldfastError, match="gone"):
        await new_execution(store)
    assert await rows(store) == []
