"""Analysis, steady state and every case send one and the same request, apart from its baggage."""

from __future__ import annotations

from collections import Counter
from typing import Any

from activities.load.batches import LoadActivities
from activities.run.executions import ExecutionActivities
from activities.stages.steady import SteadyActivities
from clients.http.requests import PreparedRequest
from clients.load.engine import LoadGenerator
from domain.cases.cases import case_count
from domain.measuring.load import BatchOrder, CaseRange
from domain.measuring.steady_report import SteadyMoment, SteadyOrder
from domain.plans.plan import Plan
from domain.plans.request import Request
from domain.traffic.summary import AnalysisOrder
from tests.support.activities.stage import Stage


class Noting(LoadGenerator):
    """Sends requests and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: Counter[str] = Counter()
        self.bodies: list[PreparedRequest] = []

    def note(self, purpose: str, request: PreparedRequest) -> None:
        self.sent[purpose] += 1
        self.bodies.append(request)

    async def send_once(self, request: PreparedRequest, spans: Any = None) -> Any:
        self.note("analysis", request)
        return await super().send_once(request)

    async def send_and_read(self, request: PreparedRequest, spans: Any = None) -> Any:
        self.note("steady state", request)
        return await super().send_and_read(request)

    async def block(self, request: PreparedRequest, *rest: Any, **more: Any) -> Any:
        self.note("case", request)
        return await super().block(request, *rest, **more)


async def test_analysis_steady_state_and_every_case_send_the_same_request(stage: Stage, monkeypatch: Any) -> None:
    """Same method, address, query, headers, body and time limit, for a request that has all of them."""
    rich = stage.plan.request.model_dump(mode="json", by_alias=True)
    rich |= {"query": {"q": ["a b", "c"]}, "headers": {"X-Number": "3"}, "json": {"deep": [1, None]}}
    plan = stage.plan.model_copy(update={"request": Request.model_validate(rich)})

    async def changed(_: int) -> Plan:
        return plan

    monkeypatch.setattr(stage.tools.store.executions, "plan", changed)
    execution_id = stage.execution.execution_id
    cases = case_count(len(plan.services))
    async with Noting() as noting:
        stage.tools.load = noting
        started = await stage.do(stage.traffic.start, stage.ref)
        order = AnalysisOrder(execution_id=execution_id, task_id=started.task_id)
        await stage.do(stage.traffic.await_patterns, order)
        records = ExecutionActivities(stage.tools, stage.execution.timing)
        await stage.do(records.generate_cases, stage.ref)
        steady = SteadyOrder(execution_id=execution_id, moment=SteadyMoment.BEFORE)
        await stage.do(SteadyActivities(stage.tools).check, steady)
        batch = BatchOrder(execution_id=execution_id, cases=CaseRange(first=0, end=cases))
        await stage.do(LoadActivities(stage.tools).measure_batch, batch)
    assert noting.sent == {"analysis": 1, "steady state": plan.steady_state.requests, "case": cases}
    first, *others = [request.model_dump() for request in noting.bodies]
    baggage = [fields["headers"].pop("baggage", None) for fields in (first, *others)]
    assert len(set(baggage)) == cases + 1  # the marker, none, and a header of its own for every other case
    assert all(fields == first for fields in others)
    assert first["url"].endswith("/api/home?q=a+b&q=c")
    assert (first["headers"], first["body"]) == (
        {"X-Number": "3", "content-type": "application/json"},
        b'{"deep": [1, null]}',
    )
