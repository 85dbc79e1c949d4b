"""What no well-behaved caller hands to a workflow, for each of their types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from temporalio.api.common.v1 import Payload

from workflows.contracts.execution import Execution
from workflows.contracts.load import CaseRange, PageInput
from workflows.contracts.pairs import PairsWindowInput
from workflows.contracts.plan import Timeouts
from workflows.contracts.timing import Timing, TimingPreset
from workflows.contracts.windows import FaultInput, LockInput, RulesWindowInput, WindowInput
from workflows.names import WorkflowType as Type
from workflows.names import record_id

ID = 3764930674541492
RUN = "01a1fdc4-02be-7c15-96da-d0ba950321fb"
EXECUTION = Execution(
    execution_id=ID,
    task_id=1,
    req_def_id=1,
    record_id=record_id(ID),
    plan_sha256="0" * 64,
    environment="127.0.0.1:1",
    namespace="shop",
    services=["cart", "payment", "stock"],
    timing=Timing.of(TimingPreset.FAST),
    started_at=datetime(2026, 11, 28, tzinfo=UTC),
)
WINDOW: dict[str, Any] = {
    "execution": EXECUTION,
    "parent_workflow_id": "resilience-test/shop",
    "parent_run_id": RUN,
    "timeouts": Timeouts(),
    "hold_seconds": 60.0,
}
ORDERS = {
    Type.ENVIRONMENT_LOCK: LockInput(**WINDOW),
    Type.RECORDING_WINDOW: WindowInput(**WINDOW),
    Type.CALLS_WINDOW: WindowInput(**WINDOW),
    Type.FAULT_WINDOW: FaultInput(**WINDOW, service="cart"),
    Type.RULES_WINDOW: RulesWindowInput(**WINDOW, services=["cart"], case_count=7, batch_seconds=30.0, ttl_seconds=600),
    Type.PAIRS_WINDOW: PairsWindowInput(**WINDOW, cases=[4, 5, 6], fault_seconds=30.0, request_seconds=30.0),
    Type.LOAD_PAGE: PageInput(execution=EXECUTION, cases=CaseRange(first=0, end=7), batch_size=18, batch_seconds=30.0),
}
"""An order of each workflow that takes one, as a run writes it."""


class Shape(NamedTuple):
    """Something that is handed to a workflow."""

    name: str
    payloads: list[Payload]
    field: str = "input"
    """What the refusal must name."""


def payload(data: bytes, encoding: bytes = b"json/plain", **metadata: bytes) -> Payload:
    return Payload(metadata={"encoding": encoding, **metadata}, data=data)


def in_json(value: object) -> Payload:
    return payload(json.dumps(value).encode())


def strange(order: bytes) -> Iterator[Shape]:
    """What is no order at all."""
    good = payload(order)
    yield Shape("two orders", [good, good])
    yield Shape("order and garbage", [good, payload(b"\xff\xfe", b"binary/plain")])
    yield Shape("three garbage", [payload(b"\x00", b"nonsense")] * 3)
    yield Shape("unknown encoding", [payload(order, b"json/secret")])
    yield Shape("no encoding", [Payload(data=order)])
    yield Shape("encoding that is no text", [payload(order, b"\xff\xfe")])
    yield Shape("encrypted", [payload(b"\x93\x01", b"binary/encrypted")])
    yield Shape("protobuf", [payload(b"\x08\x96\x01", b"binary/protobuf", messageType=b"no.such.Message")])
    yield Shape("json of a protobuf", [payload(b"{}", b"json/protobuf", messageType=b"no.such.Message")])
    yield Shape("reference", [payload(b'{"driver_name":"s3","driver_claim":{}}', b"json/external-storage-reference")])
    yield Shape(
        "newer reference",
        [payload(b"{}", b"json/protobuf", messageType=b"temporal.api.sdk.v1.ExternalStorageReference")],
    )
    yield Shape("garbage as JSON", [payload(b"\xff\xfe\x00garbage")])
    if b'"shop"' in order:
        yield Shape("half a character", [payload(order.replace(b'"shop"', b'"\\ud800"'))])
    yield Shape("half of it", [payload(order[: len(order) // 2])])
    yield Shape("empty JSON", [payload(b"")])
    yield Shape("deep lists", [payload(b"[" * 100_000 + b"]" * 100_000)])
    yield Shape("deep mappings", [payload(b'{"a":' * 50_000 + b"1" + b"}" * 50_000)])


def no_order(order: bytes) -> Iterator[Shape]:
    """JSON, or nothing, where an order belongs."""
    yield Shape("no argument", [])
    yield Shape("null", [payload(b"null")])
    yield Shape("nothing", [payload(b"", b"binary/null")])
    yield Shape("bytes", [payload(order, b"binary/plain")])
    for value in (7, -1.5, True, "text", [], {}, [1, 2, 3], {"plan": {}}, ["order"]):
        yield Shape(f"JSON {value!r}"[:40], [in_json(value)])
    yield Shape("NaN", [payload(b"NaN")])
    yield Shape("huge text", [in_json("x" * 1_000_000)])
    yield Shape("huge order", [payload(order[:-1] + b',"more":"' + b"x" * 1_000_000 + b'"}')])
    yield Shape("many fields", [in_json({f"f{number}": number for number in range(50_000)})])


SECONDS_FIELDS: list[Any] = [0, -1, 1e9, 1e18, 1e400, "long", None]
SECONDS_FIELDS += [float("nan"), float("inf"), float("-inf")]
IDS: list[Any] = [0, -1, 2**53, 2**64, 10**400, 1.5, "7x", None, [7]]
NAMES_OF_SERVICES: list[Any] = [7, None, "A b", "x" * 64, "../x", "a\x00b", ["cart"], "'; --"]

WRONG: list[tuple[str, list[Any]]] = [
    ("execution", [None, {}, [], "x"]),
    ("execution.execution_id", IDS),
    ("execution.task_id", [-1, 2**70, "x"]),
    ("execution.req_def_id", [-1, 2**70]),
    ("execution.record_id", ["", "hf", "x", "*", "hf1x-..", 7]),
    ("execution.namespace", ["", *NAMES_OF_SERVICES]),
    ("execution.environment", ["", "a\nb", "x" * 2_000, 7]),
    ("execution.services", [None, "cart", [""], [7], ["a\nb"], ["x"] * 1_001]),
    ("execution.started_at", ["yesterday", None, "9" * 400]),
    ("execution.timing", [None, [], "fast"]),
    ("execution.timing.preset", ["slow", 7]),
    *[
        (f"execution.timing.{name}", [0, -1, 1e-9, 1e9, 1e18, float("nan"), float("inf"), "x", None])
        for name in ("poll", "heartbeat_timeout", "call_timeout", "close_grace", "sweep_every", "retry_initial")
    ],
    ("execution.timing.settle", [-1, 1e9, 1e18]),
]
WRONG_OF_WINDOWS: list[tuple[str, list[Any]]] = [
    ("parent_workflow_id", ["", "a\nb", "x" * 1_001, 7, None]),
    ("parent_run_id", ["", "not-a-uuid", "{" + RUN + "}", 7, None]),
    ("timeouts", [None, [], {"unknown": "1s"}]),
    ("timeouts.recovery", [0, "0s", "-1s", "8d", "1e9s", "999999999h", "inf", 60, None]),
    ("hold_seconds", SECONDS_FIELDS),
]
WRONG_OF: dict[Type, list[tuple[str, list[Any]]]] = {
    Type.ENVIRONMENT_LOCK: [*WRONG_OF_WINDOWS, ("leftovers", ["burn", 7, None])],
    Type.RECORDING_WINDOW: WRONG_OF_WINDOWS,
    Type.CALLS_WINDOW: WRONG_OF_WINDOWS,
    Type.FAULT_WINDOW: [
        *WRONG_OF_WINDOWS,
        ("service", ["", "other", *NAMES_OF_SERVICES]),
        ("pair", [7, {}, {"case_index": -1, "window_id": "p", "run_id": RUN}]),
        ("asks_case", [-1, 10**12, 1.5, "x"]),
        ("request_seconds", [0, -1, 1e18, float("nan"), float("inf")]),
        ("discovery_round", [0, -1, 4, 10**9, 1.5, "x", None]),
    ],
    Type.RULES_WINDOW: [
        *WRONG_OF_WINDOWS,
        ("services", [None, ["other"], [""], [7], "cart"]),
        ("case_count", [-1, 10**12, 1.5, "x", None]),
        ("batch_seconds", [0, -1, 1e18, float("nan"), float("inf")]),
        ("ttl_seconds", [0, -1, 315_360_000, 10**30, 1.5]),
        ("batches_at_once", [0, -1, 17, 10**9]),
    ],
    Type.PAIRS_WINDOW: [
        *WRONG_OF_WINDOWS[:-1],
        ("hold_seconds", [0, -1, 1e18, float("nan"), float("inf")]),
        ("cases", [[-1], [0], [3], [7], [10**12], [4] * 1_001, ["x"], None]),
        ("fault_seconds", SECONDS_FIELDS),
        ("request_seconds", [0, 1e18, float("inf")]),
        ("discovers", [7, "perhaps", None, []]),
    ],
    Type.LOAD_PAGE: [
        ("cases", [None, {"first": 0}, {"first": 5, "end": 3}, {"first": 0, "end": 500_000}]),
        ("cases.end", [-1, 10**12, 1.5]),
        ("cases.first", [-1, 10**12]),
        ("batch_size", [0, -1, 10**9]),
        ("batch_seconds", [0, -1, 1e18, float("nan")]),
        ("at_once", [0, 17, 10**9]),
    ],
}


def changed(kind: Type) -> Iterator[Shape]:
    """An order with one wrong field."""
    for path, values in [*WRONG, *WRONG_OF[kind]]:
        for value in [..., *values]:
            order = json.loads(ORDERS[kind].model_dump_json())
            *parents, name = path.split(".")
            inner = order
            for parent in parents:
                inner = inner[parent]
            if value is ...:
                # Only of what has no default, which a workflow may rely on.
                if path in (
                    "execution",
                    "execution.execution_id",
                    "parent_run_id",
                    "timeouts",
                    "cases",
                    "hold_seconds",
                ):
                    inner.pop(name, None)
                    if name in ORDERS[kind].model_dump() or parents:
                        yield Shape(f"{path} missing", [in_json(order)], path)
                continue
            inner[name] = value
            written = json.dumps(order).replace("1e+400", "1e400")
            yield Shape(f"{path} = {value!r}"[:80], [payload(written.encode(errors="surrogatepass"))], path)


SHAPES: list[tuple[Type, Shape]] = [
    *[(Type.SWEEPER, Shape(name, payloads)) for name, payloads, _ in strange(b"{}")],
    *[(Type.SWEEPER, Shape("an order", [in_json({})])), (Type.SWEEPER, Shape("null", [payload(b"null")]))],
    *[(Type.RESILIENCE_TEST, shape) for shape in [*strange(b'{"plan":{}}'), *no_order(b'{"plan":{}}')]],
    *[
        (kind, shape)
        for kind, order in ORDERS.items()
        for shape in [*strange(order.model_dump_json().encode()), *no_order(order.model_dump_json().encode())]
    ],
    *[(kind, shape) for kind in ORDERS for shape in changed(kind)],
]


def some() -> list[tuple[Type, Shape]]:
    """Of each workflow a share of what is no order, all of them together; and one wrong value of each field of one."""
    share = [one for number, one in enumerate(SHAPES) if one[1].field == "input" and number % 5 == 0]
    fields = {}
    for kind, shape in SHAPES:
        own = shape.field in {path for path, _ in WRONG_OF.get(kind, [])}
        if shape.field != "input" and (own or kind is Type.FAULT_WINDOW):
            fields.setdefault((kind, shape.field), (kind, shape))
    return [*share, *fields.values()]
