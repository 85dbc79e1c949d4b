from __future__ import annotations
import asyncio
from datetime import timedelta
import pytest
from temporalio.client import WorkflowFailureError
from clients.store.store import Store
from lab import Lab, LabSettings, Misbehaviour, PortChoice, load_topology
from lab.misbehave import Action, Instruction
from lab.names import Endpoint
from tests.e2e.bench import Bench, ROOT, until
from tests.e2e.conftest import QUICK
from worker import running
from workflows.contracts.execution import Phase
from workflows.names import ABORT_UPDATE, PAUSE_UPDATE, RESUME_UPDATE

T = {"rules_ready": "2s", "stability": "3s", "recovery": "5s", "fault_running": "2s", "analyze": "6s", "replay": "5s"}
LONG = {"requests": 400, "concurrency": 1}


def mis(*i, **k):
    return Misbehaviour(instructions=[Instruction(**x) for x in i], **k)


async def ended(bench, handle, patience=60):
    try:
        r = await asyncio.wait_for(handle.result(), patience)
    except WorkflowFailureError as e:
        r = e.cause
        d = getattr(r, "details", None)
        print("RUN FAILED:", type(r).__name__, getattr(r, "type", ""), r, d and d[0])
    else:
        print("RUN OK", r.verdict, r.recovery, r.cases)
    try:
        lock = await asyncio.wait_for(bench.lock_ended(handle), 60)
        print("LOCK", lock)
    except Exception as e:
        print("LOCK failed", repr(e), repr(getattr(e, "cause", None)))
        lock = None
    if lock:
        row = await bench.store.execution_row(lock.execution_id)
        print(
            "ROW",
            row.run_status,
            row.status,
            row.recovery,
            row.error_code,
            row.error_class if hasattr(row, "error_class") else "",
        )
        for x in await bench.store.ledger_of(lock.execution_id):
            print("LEDGER", x.window_id, x.state, getattr(x, "detail", ""))
    return r, lock


async def watch(bench, seconds, what):
    for _ in range(int(seconds / 0.25)):
        s = bench.lab.state()
        await asyncio.sleep(0.25)
    s = bench.lab.state()
    on = dict(faults=s.faults, rules=s.rules, recordings=s.recordings)
    print("LAB after", what, on, "clean", s.clean)
    return s


async def window_open(bench, handle, kind, state="open"):
    async def look():
        s = await bench.status(handle)
        return next((r.window_id for r in (s.windows if s else []) if r.kind == kind and r.state == state), "")

    return await until(look, f"{kind} {state}")


async def test_t1_pause_while_rules_close(bench):
    h = await bench.start(bench.small_plan("reviews", load=LONG, timeouts=T))
    await bench.until_phase(h, Phase.LOAD_TEST_BASELINE)
    await asyncio.sleep(0.3)
    bench.lab.misbehave(mis(dict(endpoint=Endpoint.FIXTURE_DELETE, action=Action.SLOW, seconds=2)))
    await h.cancel()
    w = await window_open(bench, h, "rules", "closing")
    try:
        print("PAUSE:", await asyncio.wait_for(h.execute_update(PAUSE_UPDATE), 10))
    except Exception as e:
        print("PAUSE failed:", repr(e), repr(getattr(e, "cause", "")))
    await ended(bench, h)
    d = await bench.temporal.get_workflow_handle(w).describe()
    print("RULES WINDOW", d.status)
    s = await watch(bench, 1, "t1")
    assert s.clean and d.status.name == "CANCELED"


async def test_t2_cancel_during_upsert(bench):
    bench.lab.misbehave(mis(dict(endpoint=Endpoint.UPSERT, action=Action.SLOW, seconds=2)))
    h = await bench.start(bench.small_plan("reviews", load=LONG, timeouts=T))
    await window_open(bench, h, "rules", "opening")
    await asyncio.sleep(0.7)
    await h.cancel()
    await ended(bench, h)
    s = await watch(bench, 4, "t2")
    assert s.clean


@pytest.fixture
async def slow_bench(temporal, tmp_path):
    async with Lab(
        load_topology(ROOT / "examples" / "shop-topology.yaml"),
        settings=QUICK.model_copy(update={"rollout": 0.8}),
        ports=PortChoice.FREE,
    ) as lab:
        bench = Bench(temporal, lab, tmp_path)
        async with running(temporal, bench.settings), bench:
            yield bench


async def test_t2b_cancel_during_upsert_natural(slow_bench):
    bench = slow_bench
    h = await bench.start(
        bench.small_plan(
            "reviews",
            "shipping",
            "bestsellers",
            load=LONG,
            timeouts=T | {"analyze": "30s", "recovery": "15s", "stability": "10s"},
        )
    )

    async def some():
        return bench.lab.state().rules

    await until(some, "first rules", 90)
    await h.cancel()
    await ended(bench, h)
    s = await watch(bench, 5, "t2b")
    assert s.clean


async def test_t3_cancel_at_analyze_natural(slow_bench):
    bench = slow_bench
    h = await bench.start(bench.plan(load=LONG, timeouts=T | {"analyze": "30s", "recovery": "15s", "stability": "10s"}))
    await window_open(bench, h, "recording", "open")
    await h.cancel()
    await ended(bench, h)
    s = await watch(bench, 8, "t3")
    assert s.clean


async def test_t3b_cancel_slow_analyze(bench):
    bench.lab.misbehave(mis(dict(endpoint=Endpoint.ANALYZE, action=Action.SLOW, seconds=2)))
    h = await bench.start(bench.small_plan("reviews", load=LONG, timeouts=T))
    await window_open(bench, h, "recording", "opening")
    await asyncio.sleep(0.7)
    await h.cancel()
    await ended(bench, h)
    s = await watch(bench, 3, "t3b")
    assert s.clean


async def test_t4_cancel_slow_execute(bench):
    bench.lab.misbehave(mis(dict(endpoint=Endpoint.EXECUTE, action=Action.SLOW, seconds=14)))
    h = await bench.start(bench.small_plan("reviews", load=LONG, timeouts=T))
    await window_open(bench, h, "fault", "opening")
    await asyncio.sleep(0.5)
    await h.cancel()
    await ended(bench, h)
    s = await watch(bench, 6, "t4")
    assert s.clean


async def test_t5_abort_ignored(bench, monkeypatch):
    old = Store.save_tokens
    started = asyncio.Event()

    async def slow(self, *a):
        started.set()
        await asyncio.sleep(1.5)
        return await old(self, *a)

    monkeypatch.setattr(Store, "save_tokens", slow)
    h = await bench.start(bench.small_plan("reviews", timeouts=T))
    await asyncio.wait_for(started.wait(), 30)
    print(await h.execute_update(ABORT_UPDATE, "stop it"))
    await ended(bench, h)
    names = dict(bench.lab._cluster.journal.counters.executes)
    print("EXECUTES after abort", names, "UPSERTS", bench.lab._cluster.journal.counters.upserts)
    assert not names


async def test_t6_cancel_while_waiting_for_lock(bench):
    first = await bench.start(bench.small_plan("reviews", load=LONG, timeouts=T))
    await bench.until_phase(first, Phase.ANALYZING_PATTERNS)
    second = await bench.start(
        bench.small_plan("reviews", name="other"), workflow_id=f"other/{bench.name}", if_busy="wait"
    )
    await bench.until_state(second, lambda s: bool(s.waiting_for), "waiting")
    st = await bench.status(second)
    await second.cancel()
    try:
        await second.result()
    except WorkflowFailureError as e:
        print("SECOND", repr(e.cause))
    row = await bench.store.execution_row(st.execution_id)
    print("ROW second", row.run_status, row.status, row.recovery)
    s2 = await bench.status(second)
    print("STATUS second", s2.status, s2.phase)
    await first.cancel()
    assert row.run_status == "cancelled"


async def test_t7_status_500_never_deleted(bench):
    h = await bench.start(bench.small_plan("reviews", timeouts=T))
    await window_open(bench, h, "fault", "opening")

    async def on():
        return bench.lab.state().faults

    await until(on, "fault on")
    bench.lab.misbehave(mis(dict(endpoint=Endpoint.FAULT_STATUS, action=Action.REFUSE_500)))
    await ended(bench, h)
    s = await watch(bench, 1, "t7")
    assert not s.faults


async def test_t8_one_stop_fails(bench):
    bench.lab.misbehave(
        mis(dict(endpoint=Endpoint.RECORDING_STOP, action=Action.REFUSE_500, nth=None), analysis_stalls=True)
    )
    h = await bench.start(bench.plan(timeouts=T | {"analyze": "2s"}))
    await window_open(bench, h, "recording", "open")
    await asyncio.sleep(1.5)
    first = bench.lab.state().recordings
    print("RECORDINGS", first)
    bench.lab.misbehave(
        mis(dict(endpoint=Endpoint.RECORDING_STOP, action=Action.REFUSE_500, contains=first[0]), analysis_stalls=True)
    )
    await ended(bench, h)
    s = await watch(bench, 1, "t8")
    assert len(s.recordings) <= 1


async def test_t9_canary_retry_skips_verification(bench, monkeypatch):
    import activities.load as al

    old = al.acting
    calls = []
    from workflows.contracts.errors import ErrorCode, HoldfastError

    async def flaky(tools, subject, services):
        calls.append(list(services))
        if len(calls) == 1:
            for n in list(bench.lab._proxy.sessions.active()):
                await tools.proxy(subject.plan).delete_rules(subject.execution.record_id)
            raise HoldfastError(ErrorCode.PEER_UNREACHABLE, "one lost canary")
        return await old(tools, subject, services)

    monkeypatch.setattr(al, "acting", flaky)
    h = await bench.start(bench.small_plan("reviews", timeouts=T))
    r, lock = await ended(bench, h)
    print("CALLS", calls)
    for one in await bench.store.results(lock.execution_id):
        print("RESULT", one.case_id, one.outcome, one.reason)
    assert all(
        one.outcome != "measured" for one in await bench.store.results(lock.execution_id) if one.case_id != "baseline"
    )


async def test_t10_replay_repeated(bench):
    bench.lab.misbehave(mis(dict(endpoint=Endpoint.REPLAY, action=Action.ACT_THEN_DROP)))
    h = await bench.start(bench.small_plan("reviews", timeouts=T))
    await ended(bench, h)
    n = bench.lab._cluster.journal.counters.replays
    print("REPLAYS", dict(n))
    assert sum(n.values()) <= 1


async def test_t12_secret_in_peer_words(bench, monkeypatch):
    monkeypatch.setenv("CHECKOUT_TOKEN", "pl4nted-s3cret-zXq")
    plan = bench.small_plan("reviews", timeouts=T)
    plan["request"]["headers"] = {"Authorization": "Bearer ${env:CHECKOUT_TOKEN}"}
    bench.lab.misbehave(
        mis(
            dict(
                endpoint=Endpoint.REPLAY,
                action=Action.REPLACE,
                body={
                    "success": False,
                    "error": {
                        "code": "500",
                        "message": "Failed to replay: GET /api/reviews Authorization: Bearer pl4nted-s3cret-zXq",
                    },
                },
            )
        )
    )
    h = await bench.start(plan)
    r, lock = await ended(bench, h)
    hist = (await h.fetch_history()).to_json()
    print(
        "IN HISTORY",
        "pl4nted-s3cret-zXq" in hist,
        "IN DB",
        b"pl4nted-s3cret-zXq" in (bench.folder / "holdfast.db").read_bytes(),
    )
    for one in await bench.store.results(lock.execution_id):
        print("RESULT", one.case_id, one.outcome, one.reason)
    import json, base64

    assert (
        "pl4nted-s3cret-zXq" not in str(r) and b"pl4nted-s3cret-zXq" not in (bench.folder / "holdfast.db").read_bytes()
    )


async def test_t14_garbage_status_never_deleted(bench):
    h = await bench.start(bench.small_plan("reviews", timeouts=T))

    async def on():
        return bench.lab.state().faults

    await until(on, "fault on")
    bench.lab.misbehave(
        mis(
            dict(
                endpoint=Endpoint.FAULT_STATUS,
                action=Action.REPLACE,
                body={
                    "success": True,
                    "data": {"phase": "Running", "status": {"expStatuses": [{"success": True, "resStatuses": 5}]}},
                },
            )
        )
    )
    await ended(bench, h)
    s = await watch(bench, 1, "t14")
    assert not s.faults
