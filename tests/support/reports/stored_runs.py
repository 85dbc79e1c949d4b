"""Runs in a store, as real runs leave them: reports are gathered from these."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from clients.load.histograms import Histogram
from clients.store.packing import packed
from clients.store.read_models import Arm, CaseResult, CheckedPair, LogLevel, StoredCase, StoredSamples
from clients.store.store import Store
from domain.calls.model import CallRound, FallbackCall, FoundBy, RealAnswer, RealCase
from domain.cases.cases import case_at, case_count
from domain.cases.real_verdicts import Settled
from domain.executions.execution import Ending, Recovery, RunStatus, Verdict
from domain.executions.windows import LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from domain.measuring.load import CaseOutcome
from domain.measuring.percentiles import nearest_rank
from domain.pairs.fidelity import PairChoice, PairFinding, PairOutcome
from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.model import NewExecution, Phase, PhaseChange
from domain.traffic.exchange import Measurement
from tests.support.store.samples import FAST, MOMENT, answer, exchange, measurement, shop_plan

SERVICES = ("alpha", "beta", "gamma")
REQUESTS = 100
US = 1_000


def small_plan(**changes: Any) -> Plan:
    """Return a plan with three services of the shop's kind."""
    document = shop_plan().model_dump(mode="json", by_alias=True)
    document["name"] = "small"
    document["system"]["services"] = {name: f"http://127.0.0.1:1/{name}" for name in SERVICES}
    document["services"] = [{"name": name, "fault": "remove"} for name in SERVICES]
    document["slo"] = {"error_rate": "1%", "p95": "250ms"}
    return Plan.model_validate(document | changes)


def taken(latency_ms: float, failing: int = 0, requests: int = REQUESTS) -> list[tuple[int, bool]]:
    """Return requests of which the first ones fail. The others take this long, a microsecond more each."""
    return [(round(latency_ms * US) + number, number < failing) for number in range(requests)]


def measured(samples: list[tuple[int, bool]], **changes: Any) -> Measurement:
    good = sorted(latency for latency, failed in samples if not failed)
    errors = len(samples) - len(good)
    facts = {f"success_p{p}_us": nearest_rank(good, p / 100) if good else None for p in (50, 95, 99)}
    more = {
        "requests": len(samples),
        "successes": len(good),
        "errors": errors,
        "error_rate": 100 * errors / len(samples),
        "errors_by_kind": {"status 503": errors} if errors else {},
        "success_max_us": good[-1] if good else None,
    }
    return measurement(**facts, **more, **changes)


class StoredRun:
    """Writes what a run would write. `end` comes last."""

    def __init__(self, store: Store, plan: Plan, execution_id: int) -> None:
        self.store, self.plan, self.execution_id = store, plan, execution_id

    @classmethod
    async def begin(cls, store: Store, plan: Plan | None = None, name: str = "small") -> StoredRun:
        plan = plan or small_plan()
        new = NewExecution(
            plan_json=canonical_json(plan), workflow_id=f"resilience-test/{name}", run_id=f"run-{name}",
            requested_by="somebody",
        )  # fmt: skip
        execution = await store.executions.create(new, plan, FAST)
        return cls(store, plan, execution.execution_id)

    async def generate(self) -> None:
        names = self.plan.service_names
        cases = [case_at(names, index) for index in range(case_count(len(names)))]
        await self.store.cases.save(
            self.execution_id, [StoredCase(**case.model_dump(), faults_json="[]") for case in cases]
        )
        await self.store.cases.save_tokens(self.execution_id, {name: f"chaos.{name}.remove=1" for name in names})

    async def enter(self, phase: Phase) -> None:
        await self.store.executions.change_phase(PhaseChange(execution_id=self.execution_id, phase=phase))
        await self.store.logs.add(self.execution_id, f"phase:{phase}", LogLevel.INFO, f"phase {phase}")

    async def window(self, kind: WindowKind, service: str = "", state: LedgerState = LedgerState.CLOSED) -> None:
        """Write a window of two seconds."""
        row = LedgerEntry(
            window_id=f"{kind}/{self.execution_id}/{service}", run_id="w", execution_id=self.execution_id,
            parent_workflow_id="p", parent_run_id="p", kind=kind, service=service, peer_name=f"hf-{kind}-{service}",
            close_by=MOMENT, created_at=MOMENT, updated_at=MOMENT,
        )  # fmt: skip
        await self.store.ledger.intent(row)
        later = MOMENT + timedelta(seconds=2)
        await self.store.ledger.update(LedgerUpdate(window_id=row.window_id, run_id="w", state=state, at=later))

    async def record_and_break(self, *services: str) -> None:
        """Record, break and capture each service."""
        await self.window(WindowKind.RECORDING)
        exchanges = [exchange(name) for name in self.plan.service_names]
        await self.store.traffic.save_exchanges(self.execution_id, exchanges)
        await self.store.traffic.save_propagation(self.execution_id, dict.fromkeys(self.plan.service_names, True))
        for name in services or self.plan.service_names:
            await self.window(WindowKind.FAULT, name)
            await self.store.traffic.save_captured(self.execution_id, "remove", [answer(name)])

    async def measure(self, index: int, samples: list[tuple[int, bool]], verdict: Verdict | None, reason: str = "",
                      beside: list[tuple[int, bool]] | None = None, **changes: Any) -> None:  # fmt: skip
        result = CaseResult(case_index=index, outcome=CaseOutcome.MEASURED, measurement=measured(samples, **changes))
        stored = [_stored(index, Arm.CASE, samples)] + ([_stored(index, Arm.CONTROL, beside)] if beside else [])
        await self.store.results.save_group(self.execution_id, [result], stored)
        if verdict is not None:
            await self.store.results.save_verdicts(self.execution_id, {index: (verdict, reason)})

    async def leave_out(self, index: int, outcome: CaseOutcome, reason: str) -> None:
        result = CaseResult(case_index=index, outcome=outcome, reason=reason)
        await self.store.results.save_unmeasured(self.execution_id, [result])

    async def end(self, status: RunStatus = RunStatus.COMPLETED, verdict: Verdict | None = None,
                  recovery: Recovery = Recovery.VERIFIED, **more: Any) -> None:  # fmt: skip
        phases = {RunStatus.COMPLETED: Phase.DONE, RunStatus.CANCELLED: Phase.CANCELLED}
        facts = {"phase": phases.get(status, Phase.FAILED), "status": status, "verdict": verdict, "recovery": recovery}
        await self.store.executions.finish(Ending.model_validate({"execution_id": self.execution_id} | facts | more))


def _stored(index: int, arm: Arm, samples: list[tuple[int, bool]]) -> StoredSamples:
    good = Histogram(latency for latency, failed in samples if not failed)
    return StoredSamples(case_index=index, arm=arm, histogram=good.encode(), raw=packed(samples))


async def finished_run(store: Store) -> int:
    """Store a finished run with two bad pairs.

    The pair alpha+beta fails only together, and alpha+gamma is slower than both of its singles.
    """
    run = await StoredRun.begin(store)
    await run.generate()
    await run.record_and_break()
    await run.enter(Phase.LOAD_TEST_BASELINE)
    await run.window(WindowKind.RULES)
    for index in range(4):
        await run.measure(index, taken(100 if index == 0 else 120), Verdict.PASSED)
    await run.measure(4, taken(120, failing=REQUESTS), Verdict.FAILED, "error rate 100% > 1%")
    await run.measure(5, taken(280), Verdict.FAILED, "p95 280.1ms > 250ms")
    await run.measure(6, taken(139), Verdict.PASSED)
    await run.end(verdict=Verdict.FAILED)
    return run.execution_id


async def aborted_run(store: Store) -> int:
    """Store a run that was ended while a fault of beta was on, after two cases had been left out.

    The fault was not seen to be off.
    """
    run = await StoredRun.begin(store)
    await run.generate()
    await run.record_and_break("alpha")
    await run.window(WindowKind.FAULT, "beta", LedgerState.UNVERIFIED)
    await run.leave_out(3, CaseOutcome.SKIPPED, "no traffic of gamma was recorded")
    await run.leave_out(2, CaseOutcome.INVALID, "baggage lost: beta")
    await run.store.logs.add(run.execution_id, "stop", LogLevel.ERROR, "asked to | stop <now>")
    await run.end(
        RunStatus.FAILED, recovery=Recovery.UNVERIFIED, error_code="ABORTED", error_message="an operator said so"
    )
    return run.execution_id


async def run_with_fallbacks(store: Store) -> int:
    """Store a run in which alpha's failure makes beta and gamma receive calls.

    Two cases were really answered differently.
    """
    run = await StoredRun.begin(store)
    await run.generate()
    await run.record_and_break()
    await run.window(WindowKind.CALLS)
    execution, captured = run.execution_id, [answer("beta", 1, path="/list/1", substituted=False)]
    await store.traffic.save_captured(execution, "remove", [answer("gamma", substituted=False), *captured])
    await store.calls.save(execution, FALLBACKS)
    await store.calls.save_round(execution, CallRound(round=1, complete=True))
    await store.calls.save_round(
        execution, CallRound(round=2, complete=False, detail="the proxy was gone", unread=["beta"])
    )
    await run.window(WindowKind.RULES)
    for index in range(7):
        await run.measure(index, taken(100), Verdict.PASSED, response_code=200, response_body='{"a":1}')
    broken = measured(taken(100, failing=REQUESTS), response_code=500, response_body="no")
    agreed = [RealAnswer(status=200, body='{"a":1}')]
    await store.calls.save_real_case(execution, RealCase(case_index=1, answers=agreed, measurement=broken))
    answers = [RealAnswer(status=200, body='{"a":2}'), RealAnswer(status=None, error="timeout")]
    await store.calls.save_real_case(execution, RealCase(case_index=2, answers=answers, measurement=broken))
    found = PairFinding(case_id="alpha+beta", outcome=PairOutcome.DISAGREED, differs=["status 200", "verdict passed"])
    await store.progress.save_pair_choice(execution, PairChoice(asked_for=False, measured=3, chosen=1))
    await store.pairs.save(execution, CheckedPair(case_index=4, finding=found, measurement=broken))
    really = Settled(CaseOutcome.MEASURED, Verdict.FAILED, "error rate 100% > 1%", FoundBy.REAL_FAULTS)
    doubted = Settled(CaseOutcome.MEASURED, Verdict.INCONCLUSIVE, "beta was not seen", FoundBy.RULES)
    unanswered = Settled(CaseOutcome.INVALID, None, "no rule answers GET /open/1 at gamma", None)
    await store.results.settle(execution, {4: really, 5: unanswered, 6: doubted})
    await run.end(verdict=Verdict.FAILED)
    return execution


def call(service: str, path: str, case_index: int, **changes: Any) -> FallbackCall:
    facts = {"method": "GET", "times": 1, "new": True, "round": 1}
    return FallbackCall.model_validate(facts | {"service": service, "path": path, "case_index": case_index} | changes)


FALLBACKS = [
    call("alpha", "/api/a%20b", 1, times=3, healthy_times=1, new=False),
    call("alpha", "/missed", 0, times=2),
    call("beta", "/api/a%20b", 1, times=2, healthy_times=1, new=False),
    call("beta", "/list/1", 1, new=False, round=2),
    call("beta", "/list/1", 5, times=2, healthy_times=1, new=False, round=2),
    call("gamma", "/third", 4),
    call("gamma", "/open/1", 1, reason="its body was recorded only in part"),
]
