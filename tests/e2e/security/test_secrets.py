"""A secret appears nowhere but in the request that needs it."""

from __future__ import annotations

import base64
import json

import pytest
from temporalio.client import WorkflowFailureError

from tests.support.runs.bench import Bench, until
from tests.support.store.samples import stored_request

SECRET = "pl4nted-s3cret-zXq"  # noqa: S105 - the point of the test
FIELD = "f1eld-s3cret-Wkp"


async def test_a_planted_secret_is_in_no_file_history_or_log(idle_bench: Bench) -> None:
    """Searched as bytes, plain and in base64, in the database, every history of the run, and the worker's log."""
    bench = idle_bench
    await bench.worker(CHECKOUT_TOKEN=SECRET, HOLDFAST_SECRETS="CHECKOUT_TOKEN")
    plan = bench.small_plan()
    plan["request"] |= {
        "method": "GET",
        "headers": {"Authorization": "Bearer ${env:CHECKOUT_TOKEN}", "X-Echo": "a${env:CHECKOUT_TOKEN}b"},
        "query": {"key": "${env:CHECKOUT_TOKEN}"},
        "json": {"password": FIELD, "again": "${env:CHECKOUT_TOKEN}"},
    }
    # The plan itself is stored, so its clear text is no secret. What services say about it may be secret.
    plan["request"]["json"].pop("password")
    # Test the entry itself, so that the request is recorded with everything in it.
    plan["services"].append({"name": "storefront", "fault": "error"})
    handle = await bench.start(plan)
    summary = await handle.result()
    await bench.lock_ended(handle)
    assert summary.cases.measured == 7
    await _assert_absent(bench, summary.execution_id, handle.id)


@pytest.mark.exhaustive
async def test_a_redacted_form_field_is_in_no_recording(idle_bench: Bench) -> None:
    """The plan has the field in clear text, which may be read. Recordings and the request's row may not contain it."""
    bench = idle_bench
    await bench.worker(CHECKOUT_TOKEN=SECRET, HOLDFAST_SECRETS="CHECKOUT_TOKEN")
    plan = bench.small_plan() | {"redact": ["PassWord"]}
    plan["request"] |= {"method": "GET", "form": {"a": "1", "password": FIELD, "again": "${env:CHECKOUT_TOKEN}"}}
    plan["services"].append({"name": "storefront", "fault": "error"})
    handle = await bench.start(plan)
    summary = await handle.result()
    await bench.lock_ended(handle)
    (recorded,) = await bench.store.traffic.exchanges(summary.execution_id, "storefront")
    assert recorded.request_body == "a=1&password=%5Bredacted%5D&again=[redacted]"
    execution = await bench.store.executions.get(summary.execution_id)
    stored = await stored_request(bench.store, execution.req_def_id)
    assert stored.body_template == {"a": "1", "password": "[redacted]", "again": "${env:CHECKOUT_TOKEN}"}


async def test_a_run_with_a_missing_secret_is_refused_before_anything_is_on(idle_bench: Bench) -> None:
    """SECRET_MISSING names the variable; no peer is called."""
    bench = idle_bench
    await bench.worker()
    plan = bench.small_plan()
    plan["request"]["headers"]["Authorization"] = "Bearer ${env:NOT_SET_ANYWHERE}"
    handle = await bench.start(plan)
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    assert "NOT_SET_ANYWHERE" in str(raised.value.cause)
    assert raised.value.cause.type == "SECRET_MISSING"  # type: ignore[union-attr,attr-defined]
    assert bench.lab.state().clean


async def _assert_absent(bench: Bench, execution_id: int, workflow_id: str) -> None:
    needles = [SECRET.encode(), base64.b64encode(f"Bearer {SECRET}".encode())[4:20]]
    ids = [workflow_id, f"recording/{execution_id}", f"rules/{execution_id}", f"load/{execution_id}/0"]
    ids += [f"fault/{execution_id}/{name}" for name in ("reviews", "shipping", "storefront")]
    haystacks = {path.name: path.read_bytes() for path in bench.folder.iterdir() if path.is_file()}
    for history_id in ids:
        history = await bench.temporal.get_workflow_handle(history_id).fetch_history()
        haystacks[history_id] = history.to_json().encode() + b"".join(
            event.SerializeToString() for event in history.events
        )
    assert {"holdfast.db", "worker.log"} <= haystacks.keys()
    logged = [json.loads(line) for line in haystacks["worker.log"].splitlines()]
    assert {"judge", "inject_fault"} <= {line["activity"] for line in logged if line.get("execution") == execution_id}

    async def request_seen() -> bool:
        recorded = await bench.store.traffic.exchanges(execution_id, "storefront")
        return bool(recorded) and any("redacted" in value for value in recorded[0].request_headers.values())

    await until(request_seen, "a recorded request")
    for name, content in haystacks.items():
        for needle in needles:
            assert needle not in content, name
