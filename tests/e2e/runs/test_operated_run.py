"""One run with everything that operators can switch on: traces, encryption, a server with a database.

Asked about its trace, its payloads, and its page in the Web UI.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from temporalio.api.common.v1 import Header, Payload
from temporalio.api.common.v1 import WorkflowType as TypeName
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.common import SearchAttributeKey

from domain.cases.cases import case_count
from domain.names import SearchAttribute, WorkflowType
from tests.support.cli.terminal import Terminal
from tests.support.runs.bench import PATIENCE
from tests.support.runs.operated import (
    DESCRIPTION,
    REQUESTS,
    RUN,
    SECRET,
    SERVICES,
    SHARE,
    TEAM,
    Operated,
    operated_run,
)

LAB_SERVICES = ("storefront", "recommendations", "bestsellers", "reviews", "shipping", "inventory")

WINDOWS = {
    WorkflowType.ENVIRONMENT_LOCK: 1,
    WorkflowType.RECORDING_WINDOW: 1,
    WorkflowType.CALLS_WINDOW: 1,
    WorkflowType.FAULT_WINDOW: len(SERVICES),
    WorkflowType.RULES_WINDOW: 1,
    WorkflowType.LOAD_PAGE: 1,
}


@pytest.fixture(scope="module")
async def operated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Operated]:
    async with operated_run(tmp_path_factory.mktemp("operated")) as found:
        yield found


def test_everything_of_a_run_is_in_one_trace(operated: Operated) -> None:
    """From the command to the services, none without its parent, none twice however often workflows are replayed."""
    spans = operated.spans
    assert len({span.trace_id for span in operated.arrived}) == 1
    ids = Counter(span.span_id for span in spans)
    assert set(ids.values()) == {1}
    (first,) = [span for span in spans if not span.parent_id]
    assert (first.service, first.name) == ("holdfast", f"StartWorkflow:{WorkflowType.RESILIENCE_TEST}")
    assert {span.parent_id for span in spans if span is not first} <= set(ids)
    assert {span.service for span in spans} == {"holdfast", "holdfast-worker", "holdfast-load", *LAB_SERVICES}
    for window, number in WINDOWS.items():
        assert len(operated.named(f"RunWorkflow:{window}")) == number
    # The live view of `holdfast run` asks all the time, and is no part of the run.
    assert not [span for span in spans if "Query" in span.name]


def test_spans_of_windows_last_as_long_as_the_windows(operated: Operated) -> None:
    (run,) = operated.named(RUN)
    for fault in operated.named(f"RunWorkflow:{WorkflowType.FAULT_WINDOW}"):
        assert run.began <= fault.began < fault.ended <= run.ended
        inside = operated.below(fault)
        worked = {span.name for span in inside}
        assert {"RunActivity:inject_fault", "RunActivity:replay_and_capture", "RunActivity:recover_fault"} <= worked
        assert all(
            fault.began <= span.began and span.ended <= fault.ended
            for span in inside
            if span.service == "holdfast-worker"
        )


def test_the_services_spans_are_below_the_requests_that_caused_them(operated: Operated) -> None:
    requests = [span for span in operated.spans if span.attributes.get("holdfast.case")]
    by_id = {span.span_id: span for span in operated.spans}
    cases = Counter(span.attributes["holdfast.case"] for span in requests)
    assert len(cases) == case_count(len(SERVICES))
    # The first of each case, and then this share.
    assert set(cases.values()) == {1 + int((REQUESTS - 1) * SHARE)}
    entered = [span for span in operated.spans if span.service == "storefront"]
    assert all(by_id[span.parent_id].name == "GET" for span in entered)
    # Services record what is traced, and nothing else of the load test.
    loaded = [span for span in entered if by_id[span.parent_id] in requests]
    assert len(loaded) == len(requests)
    called = [span for span in operated.spans if span.service == "inventory"]
    assert called
    assert {by_id[span.parent_id].service for span in called} <= set(LAB_SERVICES)


def test_spans_say_what_they_are_about(operated: Operated) -> None:
    injected = operated.named("RunActivity:inject_fault")
    assert sorted(str(span.attributes["holdfast.service"]) for span in injected) == list(SERVICES)
    assert len({span.attributes["holdfast.execution.id"] for span in injected}) == 1
    request = next(span for span in operated.spans if span.attributes.get("holdfast.case"))
    facts = request.attributes
    assert facts["http.request.method"] == "GET"
    assert facts["http.response.status_code"] == 200
    assert str(facts["url.full"]).endswith("/api/home")
    assert facts["server.port"] == int(str(facts["url.full"]).split(":")[2].split("/")[0])


def test_no_secret_and_no_body_leaves_with_a_trace(operated: Operated) -> None:
    assert operated.raw.count(b"RunActivity") > 20
    for word in (SECRET, "Would buy again", "x-key", "?key="):
        assert word.encode() not in operated.raw


def test_lines_of_the_log_name_their_trace_and_span(operated: Operated) -> None:
    named = {(line["trace_id"], line["span_id"]) for line in operated.log if "trace_id" in line}
    assert named
    assert named <= {(span.trace_id, span.span_id) for span in operated.spans}
    of_activities = [line for line in operated.log if line.get("activity")]
    assert of_activities
    assert all("trace_id" in line for line in of_activities)


@pytest.mark.parametrize(
    "header",
    [
        Payload(metadata={"encoding": b"json/plain"}, data=b"[]"),
        Payload(metadata={"encoding": b"json/plain"}, data=b'{"traceparent": {}, "baggage": 1}'),
        Payload(metadata={"encoding": b"binary/encrypted"}, data=b"x"),
    ],
    ids=["list", "no text", "unreadable"],
)
async def test_a_hostile_trace_header_holds_no_workflow_up(operated: Operated, header: Payload) -> None:
    client = operated.bench.temporal
    request = StartWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_id=f"hostile-{uuid.uuid4().hex}",
        workflow_type=TypeName(name=WorkflowType.SWEEPER),
        task_queue=TaskQueue(name=operated.bench.settings.task_queue),
        request_id=uuid.uuid4().hex,
        header=Header(fields={"_tracer-data": header}),
    )
    await client.workflow_service.start_workflow_execution(request)
    await asyncio.wait_for(client.get_workflow_handle(request.workflow_id).result(), PATIENCE)


def test_the_servers_database_has_names_and_nothing_else(operated: Operated) -> None:
    database = operated.bytes_of("temporal.db")
    for visible in (WorkflowType.FAULT_WINDOW, operated.name, SearchAttribute.VERDICT, "binary/encrypted"):
        assert visible.encode() in database
    hidden = (
        DESCRIPTION,  # of the input
        "x-key",
        "/api/home",
        "fault_ttl",
        "Inject the fault into",  # a summary
        "recovery_verified",  # of a result
        '"plan"',  # of a memo
    )
    for words in hidden:
        assert words.encode() not in database


def test_a_secret_is_nowhere(operated: Operated) -> None:
    for place in ("temporal.db", "holdfast.db", "worker.log", "report.html"):
        assert SECRET.encode() not in operated.bytes_of(place)
    assert SECRET not in operated.command.text


def test_what_services_answer_is_in_no_log(operated: Operated) -> None:
    assert b"Would buy again" not in operated.bytes_of("worker.log")
    assert DESCRIPTION.encode() not in operated.bytes_of("worker.log")


async def test_a_command_without_the_key_says_so(operated: Operated) -> None:
    terminal = await Terminal.start("watch", operated.name, folder=operated.folder, env=operated.environment)
    assert await terminal.end() != 0
    assert "is encrypted with the key 'tests', which is not here" in terminal.text
    assert "set HOLDFAST_PAYLOAD_KEYS as it is where the worker runs" in terminal.text


async def test_a_runs_page_says_from_the_start_what_it_breaks(operated: Operated) -> None:
    described = await operated.run.describe()
    assert (await described.static_summary() or "").startswith(f"plan {operated.name}: 2 services, 4 cases")
    details = await described.static_details() or ""
    assert DESCRIPTION in details
    assert f"Team: {TEAM}" in details
    for service in SERVICES:
        assert f"| {service} |" in details


async def test_a_run_is_found_by_its_team(operated: Operated) -> None:
    described = await operated.run.describe()
    assert described.typed_search_attributes.get(SearchAttributeKey.for_keyword(SearchAttribute.TEAM)) == TEAM
