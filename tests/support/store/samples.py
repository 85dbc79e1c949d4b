"""Sample objects that tests put into the store."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import yaml

from clients.http.request_definitions import RequestDefinition
from clients.store.engine import reading
from clients.store.read_models import CaseResult, StoredCase
from clients.store.schema.tables import HttpReqDef
from clients.store.store import Store
from domain.executions.execution import Execution
from domain.executions.windows import LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from domain.measuring.load import CaseOutcome, CaseType
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.model import NewExecution
from domain.timing import Timing, TimingPreset
from domain.traffic.exchange import CapturedAnswer, Measurement, RecordedExchange
from tests.support.paths import EXAMPLES

SHOP = EXAMPLES / "shop.yaml"
MOMENT = datetime(2031, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)
FAST = Timing.of(TimingPreset.FAST)


def shop_plan(**changes: Any) -> Plan:
    return Plan.model_validate(yaml.safe_load(SHOP.read_text()) | changes)


async def new_execution(store: Store, run_id: str = "run-1", workflow_id: str = "resilience-test/shop") -> Execution:
    plan = shop_plan()
    new = NewExecution(plan_json=canonical_json(plan), workflow_id=workflow_id, run_id=run_id, requested_by="somebody")
    return await store.executions.create(new, plan, FAST)


async def stored_request(store: Store, req_def_id: int) -> RequestDefinition:
    """Return the row of a request."""
    async with reading(store.engine) as work:
        row = await work.get(HttpReqDef, req_def_id)
    assert row is not None, req_def_id
    return RequestDefinition.model_validate(row.model_dump())


def entry(execution_id: int, **changes: Any) -> LedgerEntry:
    facts = {
        "window_id": f"fault/{execution_id}/reviews",
        "run_id": "window-run-1",
        "execution_id": execution_id,
        "parent_workflow_id": "resilience-test/shop",
        "parent_run_id": "run-1",
        "kind": WindowKind.FAULT,
        "service": "reviews",
        "peer_name": "hf-1-reviews-0-1",
        "close_by": MOMENT,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }
    return LedgerEntry.model_validate(facts | changes)


def move(row: LedgerEntry, state: LedgerState, detail: str = "") -> LedgerUpdate:
    return LedgerUpdate(window_id=row.window_id, run_id=row.run_id, state=state, detail=detail)


def stored_case(index: int) -> StoredCase:
    services = [f"s{n}" for n in range(min(index, 2))]
    return StoredCase(
        index=index,
        case_id="+".join(services) or "baseline",
        case_type=list(CaseType)[len(services)],
        services=services,
        faults_json="[]",
    )


def exchange(service: str = "reviews", position: int = 0, **changes: Any) -> RecordedExchange:
    facts = {
        "service": service,
        "position": position,
        "method": "GET",
        "url": "http://reviews:8080/api/a%20b?x=1",
        "path": "/api/a%20b",
        "request_headers": {"Accept": "*/*"},
        "response_status": 200,
        "response_headers": {"Content-Type": "application/json"},
        "response_body": '{"stars":5}',
    }
    return RecordedExchange.model_validate(facts | changes)


def answer(service: str = "reviews", position: int = 0, **changes: Any) -> CapturedAnswer:
    facts = {
        "service": service,
        "position": position,
        "method": "GET",
        "url": "http://reviews:8080/api/a%20b?x=1",
        "path": "/api/a%20b",
        "status": 503,
        "headers": {"Retry-After": "1"},
        "body": "no",
        "substituted": True,
        "no_effect": False,
        "error_message": "connection refused",
    }
    return CapturedAnswer.model_validate(facts | changes)


def measurement(**changes: Any) -> Measurement:
    facts = {
        "p50_ms": 4,
        "p95_ms": 9,
        "p99_ms": 11,
        "error_rate": 33.33,
        "success_p50_us": 4321,
        "success_p95_us": 9876,
        "success_p99_us": 11111,
        "success_max_us": 12345,
        "requests": 3,
        "successes": 2,
        "errors": 1,
        "errors_by_kind": {"status 503": 1},
        "duration_us": 23456,
        "response_code": 200,
        "response_body": "{}",
    }
    return Measurement.model_validate(facts | changes)


def measured(index: int = 0, **changes: Any) -> CaseResult:
    return CaseResult(
        case_index=index,
        outcome=CaseOutcome.MEASURED,
        measurement=measurement(**changes),
        request_url="http://shop/api/home",
        request_method="GET",
    )


def skipped(index: int = 0, reason: str = "no captured failure") -> CaseResult:
    return CaseResult(case_index=index, outcome=CaseOutcome.SKIPPED, reason=reason)
