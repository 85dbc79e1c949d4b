"""Our clients against the lab, which somebody else wrote from the same contract."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import pytest

from clients.http.requests import PreparedRequest
from clients.load.engine import LoadGenerator
from clients.peers.canary import CanaryClient
from clients.peers.faults import FaultClient
from clients.peers.proxy import ProxyClient
from clients.peers.stability import HttpStabilityClient
from domain.errors import ErrorCode, HoldfastError
from domain.faults.capture import canary_body, canary_path
from domain.faults.chaosblade.expansion import expand
from domain.faults.driving import FaultExists, FaultStatus
from domain.names import record_id
from domain.plans.system import HttpStability
from domain.traffic.driving import AnalysisTask
from domain.traffic.exchange import Rule
from lab import Lab, LabSettings, PortChoice, load_topology
from lab.misbehaviour.misbehave import Action, Instruction, Misbehaviour
from lab.misbehaviour.names import Endpoint
from tests.support.paths import EXAMPLES

T = TypeVar("T")
SHOP = EXAMPLES / "shop-topology.yaml"
SECONDS = timedelta(seconds=5)
TOKEN = "chaos.reviews.remove=1"  # noqa: S105 - a baggage token
QUICK = LabSettings(
    rollout=0.05,
    fault_start=0.04,
    fault_stop=0.04,
    execute_wait=0.01,
    collect_quiet=0.15,
    collect=0.8,
    dedupe_seconds=0.3,
    hang_limit=3,
)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab(load_topology(SHOP), settings=QUICK, ports=PortChoice.FREE) as lab:
        yield lab


@pytest.fixture
async def proxy(lab: Lab) -> AsyncIterator[ProxyClient]:
    async with ProxyClient(lab.addresses.proxy) as client:
        yield client


@pytest.fixture
async def faults(lab: Lab) -> AsyncIterator[FaultClient]:
    async with FaultClient(lab.addresses.faults) as client:
        yield client


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    end = time.monotonic() + 5
    while (found := await look()) is None:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
    return found


def home(lab: Lab, **headers: str) -> PreparedRequest:
    return PreparedRequest(method="GET", url=f"{lab.addresses.entry}/api/home", headers=headers, body=None, timeout=5)


async def analysed(lab: Lab, proxy: ProxyClient, services: list[str], execution_id: int = 42) -> AnalysisTask:
    task = await proxy.analyze(
        req_def_id=1,
        namespace=lab.addresses.namespace,
        services=services,
        execution_id=execution_id,
        duration_seconds=60,
    )
    sent = False

    async def look() -> AnalysisTask | None:
        nonlocal sent
        found = await proxy.analysis(task.task_id)
        if found.status.collecting and not sent:
            sent = True
            async with LoadGenerator() as load:
                await load.send_once(home(lab, baggage="holdfast.analysis=x"))
        return found if found.status.completed or found.status.failed else None

    return await until(look)


async def inject(lab: Lab, faults: FaultClient, name: str, service: str) -> FaultStatus:
    await faults.execute(name, 60, expand("remove", service, lab.addresses.namespace).experiment)

    async def look() -> FaultStatus | None:
        found = await faults.status(name)
        return found if found and found.running else None

    return await until(look)


async def remove(faults: FaultClient, name: str) -> None:
    async def gone() -> bool | None:
        await faults.delete(name)
        return True if await faults.status(name) is None else None

    await until(gone)


async def test_recorded_requests_are_replayed_under_a_fault(lab: Lab, proxy: ProxyClient, faults: FaultClient) -> None:
    """Analysis, fault, replay and recovery: the whole first half of a run."""
    task = await analysed(lab, proxy, ["reviews", "shipping"])
    assert {pattern.service for pattern in task.patterns if pattern.exchanges} == {"reviews", "shipping"}
    reviews = next(pattern for pattern in task.patterns if pattern.service == "reviews")
    assert reviews.exchanges[0].path == "/api/reviews"
    assert "holdfast.analysis=x" in str(reviews.exchanges[0].request_headers)

    async def replay(service: str) -> int:
        answers = await proxy.replay(
            execution_id=42, namespace=lab.addresses.namespace, service=service, longest=SECONDS
        )
        return answers[0].status

    assert await replay("reviews") == 200
    await inject(lab, faults, "hf-1-reviews-1", "reviews")
    assert await replay("reviews") == 0
    assert await faults.names("hf-1-") == ["hf-1-reviews-1"]
    await remove(faults, "hf-1-reviews-1")
    assert await replay("reviews") == 200
    assert lab.state().faults == {}


async def test_an_equal_analysis_of_another_run_is_a_conflict(lab: Lab, proxy: ProxyClient) -> None:
    """The proxy answers with the first run's task. A repetition of our own call rightly gets that task too."""
    namespace = lab.addresses.namespace

    async def analyze(execution_id: int) -> AnalysisTask:
        return await proxy.analyze(
            req_def_id=1, namespace=namespace, services=["reviews"], execution_id=execution_id, duration_seconds=60
        )

    first = await analyze(1)
    assert (await analyze(1)).task_id == first.task_id
    with pytest.raises(HoldfastError) as raised:
        await analyze(2)
    assert raised.value.code is ErrorCode.ANALYZE_CONFLICT


async def test_rules_act_after_the_upsert_and_are_gone_after_deletion(lab: Lab, proxy: ProxyClient) -> None:
    """Upsert, sidecar, canary, measured load with and without the token, and removal."""
    namespace, address = lab.addresses.namespace, lab.addresses.services["reviews"]
    record = "hf1x"
    json_type = {"content-type": "application/json"}
    rules = [
        Rule(
            service="reviews",
            method="GET",
            path=canary_path(record),
            token=TOKEN,
            status=200,
            headers=json_type,
            body=canary_body(record, "reviews"),
        ),
        Rule(service="reviews", method="GET", path="/api/reviews", token=TOKEN, status=503, body='{\r\n"a":\n1}'),
    ]
    assert (
        await proxy.upsert_rules(namespace=namespace, record_id=record, ttl_seconds=60, rules=rules, longest=SECONDS)
        == 2
    )
    stability = HttpStabilityClient(lab.addresses.services, HttpStability())
    poll = timedelta(milliseconds=10)
    assert (await stability.wait_until_stable("reviews", longest=SECONDS, every=poll)).stable
    assert await proxy.rules_active(record_id=record, services=["reviews", "review", "shipping"]) == {"reviews"}
    assert (await proxy.check(namespace=namespace, service="reviews")).recording_id == f"{record}-reviews"
    assert f"{record}-reviews" in [session.session_id for session in await proxy.active_sessions()]
    request = PreparedRequest(method="GET", url=f"{address}/api/reviews", headers={}, body=None, timeout=5)
    async with CanaryClient() as canary, LoadGenerator() as load:
        assert await canary.intercepted(address, record, "reviews", TOKEN)
        assert not await canary.intercepted(address, record, "reviews", "chaos.other=1")
        healthy = await load.measure(request, requests=12, concurrency=4)
        ill = await load.measure(
            request.model_copy(update={"headers": {"baggage": f"a=1,{TOKEN}"}}), requests=12, concurrency=4
        )
        await proxy.delete_rules(record)
        assert await proxy.rules_active(record_id=record, services=["reviews"]) == set()
        await stability.wait_until_stable("reviews", longest=SECONDS, every=poll)
        assert not await canary.intercepted(address, record, "reviews", TOKEN)
    assert {sample.error_kind for sample in healthy.samples} == {""}
    assert {sample.error_kind for sample in ill.samples} == {"status 503"}
    assert (len(ill.samples), ill.last_body) == (12, '{ "a": 1}')
    assert not (await proxy.check(namespace=namespace, service="reviews")).recording


async def test_deleting_the_rules_of_a_run_leaves_those_of_other_runs_active(lab: Lab, proxy: ProxyClient) -> None:
    """The proxy deletes every session whose id begins with the given one.

    Ids of runs are numbers: in base 36, the id of run 1 begins the id of run 36.
    """
    deleted, kept = record_id(1), record_id(36)
    for record, service in ((deleted, "reviews"), (kept, "shipping")):
        member = TOKEN.replace("reviews", service)
        rule = Rule(service=service, method="GET", path=f"/api/{service}", token=member, status=503)
        await proxy.upsert_rules(
            namespace=lab.addresses.namespace, record_id=record, ttl_seconds=60, rules=[rule], longest=SECONDS
        )
    await proxy.delete_rules(deleted)
    assert await proxy.rules_active(record_id=deleted, services=["reviews"]) == set()
    assert await proxy.rules_active(record_id=kept, services=["shipping"]) == {"shipping"}


async def test_recordings_of_a_failed_analysis_are_found_and_stopped(lab: Lab, proxy: ProxyClient) -> None:
    """They stay active, and appear in the list of sessions."""

    lab.misbehave(Misbehaviour(analysis_fails="no data"))
    task = await analysed(lab, proxy, ["reviews"])
    assert (task.status.failed, task.message) == (True, "no data")
    (session,) = await proxy.active_sessions()
    assert (session.service, session.namespace) == ("reviews", lab.addresses.namespace)
    await proxy.stop_recording(session.session_id)
    assert await proxy.active_sessions() == []
    assert not (await proxy.check(namespace=lab.addresses.namespace, service="reviews")).recording


async def test_a_fault_whose_answer_was_lost_is_found_by_its_name(lab: Lab, faults: FaultClient) -> None:
    """The peer acts and the connection drops: the outcome is unknown until the fault is asked for by name.

    Executing it again fails because the fault exists.
    """

    lab.misbehave(
        Misbehaviour(instructions=[Instruction(endpoint=Endpoint.EXECUTE, action=Action.ACT_THEN_DROP, nth=1)])
    )
    experiment = expand("remove", "reviews", lab.addresses.namespace).experiment
    with pytest.raises(HoldfastError) as raised:
        await faults.execute("hf-1-reviews-1", 60, experiment)
    assert raised.value.code is ErrorCode.PEER_GARBAGE
    assert await faults.status("hf-1-reviews-1") is not None
    with pytest.raises(FaultExists):
        await faults.execute("hf-1-reviews-1", 60, experiment)
    await remove(faults, "hf-1-reviews-1")
    assert await faults.status("hf-1-reviews-1") is None
    await faults.delete("hf-1-reviews-1")


async def test_a_fault_without_a_target_fails_with_a_reason(lab: Lab, faults: FaultClient) -> None:
    """Error is terminal, and the fault still has to be deleted."""
    await faults.execute("hf-1-nobody-1", 60, expand("remove", "nobody", lab.addresses.namespace).experiment)

    async def look() -> FaultStatus | None:
        found = await faults.status("hf-1-nobody-1")
        return found if found and found.failed else None

    failed = await until(look)
    assert failed.detail.startswith("phase Error:")
    await remove(faults, "hf-1-nobody-1")


async def test_a_refused_upsert_leaves_rules_that_can_be_deleted_by_record(lab: Lab, proxy: ProxyClient) -> None:
    """The proxy refuses an unknown service without a reason, and the rules of services before it are active."""
    rules = [
        Rule(service="reviews", method="GET", path="/api/reviews", token=TOKEN, status=503),
        Rule(service="nobody", method="GET", path="/api/x", token=TOKEN.replace("reviews", "nobody"), status=503),
    ]
    namespace = lab.addresses.namespace
    with pytest.raises(HoldfastError):
        await proxy.upsert_rules(namespace=namespace, record_id="hf1x", ttl_seconds=60, rules=rules, longest=SECONDS)
    assert await proxy.rules_active(record_id="hf1x", services=["reviews", "nobody"]) == {"reviews"}
    await proxy.delete_rules("hf1x")
    assert await proxy.rules_active(record_id="hf1x", services=["reviews", "nobody"]) == set()
