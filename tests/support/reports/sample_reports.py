"""Made-up reports of any size, without a run: for tests of what renders them. A seed decides everything."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import combinations
from random import Random

from domain.calls.model import FoundBy
from domain.errors import ErrorCode
from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.executions.state import WindowRow
from domain.executions.windows import ServiceStability, WindowKind, WindowState
from domain.faults.model import InjectionState
from domain.measuring.comparison import Finding
from domain.measuring.load import CaseOutcome, CaseType
from domain.measuring.steady_report import SteadyReport
from domain.plans.slo import Percentile
from domain.resilience.model import CaseCounts, Phase
from domain.resilience.state import (
    AnalysisPanel,
    CasesPanel,
    InjectionRow,
    LoadPanel,
    PhaseTime,
    ResilienceState,
    RulesPanel,
)
from domain.traffic.summary import RecordedService
from reports.model.report import (
    CallStanding,
    CapturedReport,
    CaseReport,
    CaseState,
    CoverageReport,
    EnvironmentReport,
    FallbackCallReport,
    FallbackReport,
    GroundsReport,
    Interaction,
    Notice,
    PairCell,
    PhaseSpan,
    Ratio,
    RealReport,
    ReasonCount,
    Report,
    ServiceReport,
    Timeline,
    WindowSpan,
)

BEGAN = datetime(2026, 11, 21, 20, 15, 3, tzinfo=UTC)
NASTY = '</script><script>alert("answered")</script><img src=x onerror=alert(1)>'
"""What a service might answer, and no page may obey."""

_UNMEASURED = (CaseState.INVALID, CaseState.SKIPPED, CaseState.EXCLUDED, CaseState.MISSING)
_OUTCOMES = {
    CaseState.INVALID: CaseOutcome.INVALID,
    CaseState.SKIPPED: CaseOutcome.SKIPPED,
    CaseState.EXCLUDED: CaseOutcome.SKIPPED,
    CaseState.MISSING: None,
}
_REASONS = {
    CaseState.INVALID: "no baggage reaches the service, so its rule would never act",
    CaseState.SKIPPED: "the service has no captured failure: FAULT_NOT_RUNNING after 30 s",
    CaseState.EXCLUDED: "excluded by the plan: both are behind the same feature switch",
}
_WORDS = ["cart", "payment", "pricing", "reviews", "search", "stock", "users", "orders", "seats", "station", "route"]
_WORDS += ["train", "travel", "basic", "config", "price", "contacts", "assurance", "food", "consign", "verification"]
_WORDS += ["notification"]


def sample(services: int = 8, *, seed: int = 1, aborted: bool = False) -> Report:
    """Return the report of a run of this many services.

    It finished with a failed verdict, or was aborted during its load test.
    """
    return _Sample(services, Random(seed), aborted=aborted).report()  # noqa: S311 - no secret hangs on it


class _Sample:
    def __init__(self, services: int, random: Random, *, aborted: bool) -> None:
        self._random, self._aborted = random, aborted
        self._names = sorted(_WORDS[at] if at < len(_WORDS) else f"service-{at}" for at in range(services))
        self._reached = 1 + services + (services * (services - 1) // 2) // 3 if aborted else 10**9
        self._deaf = {self._names[2]} if services > 3 else set()
        self._mute = {self._names[-1]} if services > 6 else set()

    def report(self) -> Report:
        cases = self._cases()
        pairs = sorted(self._pairs(cases), key=lambda pair: -_badness(pair))
        counts = Counter(case.state for case in cases)
        measured = sum(case.error_rate is not None for case in cases)
        windows = self._windows()
        verdict = None if self._aborted else Verdict.FAILED
        wanted = len(cases) - counts[CaseState.EXCLUDED]
        return Report(
            holdfast_version="0.0.1",
            written_at=BEGAN + timedelta(hours=1),
            title="shop, 2026-11-21 20:15 UTC",
            verdict_sentence=self._verdict_sentence(counts),
            recovery_sentence="Everything that was switched on was seen to be off again.",
            run=self._state(cases, counts, verdict, windows),
            services=[self._service(name, at) for at, name in enumerate(self._names)],
            cases=cases,
            pairs=pairs,
            fallback=self._fallback(),
            grounds=GroundsReport(
                asked=3, differed=1, by_real_faults=1, substituted=2, substituted_asked=1, substituted_services=["cart"]
            ),
            timeline=self._timeline(windows),
            coverage=CoverageReport(
                total=len(cases),
                measured=measured,
                wanted=wanted,
                share=round(100 * measured / wanted, 2),
                at_least=90,
                enough=measured / wanted >= 0.9,
                invalid=counts[CaseState.INVALID],
                skipped=counts[CaseState.SKIPPED],
                excluded=counts[CaseState.EXCLUDED],
                missing=counts[CaseState.MISSING],
                reasons=[
                    ReasonCount(state=state, reason=_REASONS.get(state, ""), cases=counts[state], examples=["cart"])
                    for state in _UNMEASURED
                    if counts[state]
                ],
            ),
            environment=EnvironmentReport(
                environment="127.0.0.1:8102",
                namespace="shop",
                proxy="http://127.0.0.1:8101",
                fault_service="http://127.0.0.1:8102",
                request="GET http://127.0.0.1:8100/home",
                load="30 requests per case, 8 at once",
                slo=["errors at most 1%", "p95 at most 500 ms", "p95 no more than 10% slower than the baseline"],
                workflow_id="resilience-test/shop",
                workflow_run_id="0199f0aa-1111-7000-8000-000000000001",
                requested_by="sre@example.org",
                plan_sha256="8f3c" * 16,
                python="3.11.9",
                platform="Linux x86_64",
            ),
            plan_yaml="version: 1\nname: shop\nrequest:\n  url: http://127.0.0.1:8100/home\n"
            "services:\n" + "".join(f"  - name: {name}\n    fault: remove\n" for name in self._names),
        )

    def _fallback(self) -> FallbackReport:
        """Return a call of each kind: open, ruled, more frequent, a retry, and missed by the analysis."""
        first, last = self._names[0], self._names[-1]
        facts = {"case_index": 1, "service": last, "method": "GET", "under": first, "times": 1}
        changes: list[dict[str, object]] = [
            {"path": f"/list/{NASTY}", "standing": CallStanding.OPEN, "reason": NASTY, "decides": f"{first}+{last}"},
            {"path": "/list/1", "standing": CallStanding.RULED, "decides": f"{first}+{last}"},
            {"path": "/items/1", "times": 2, "healthy_times": 1, "standing": CallStanding.UNCHANGED},
            {"path": "/items/2", "under": "baseline", "case_index": 0, "standing": CallStanding.NEEDLESS},
            {"path": "/items/3", "service": first, "times": 3, "healthy_times": 1, "retry": True,
             "standing": CallStanding.RULED, "decides": first},
        ]  # fmt: skip
        calls = [FallbackCallReport.model_validate(facts | change) for change in changes]
        return FallbackReport(found=2, open=1, calls=calls, calls_left_out=7, unseen=[f"round 2: {NASTY}"])

    def _verdict_sentence(self, counts: Counter[CaseState]) -> str:
        if self._aborted:
            return "The run was aborted in LOAD_TEST_BASELINE, so there is no verdict: too many users complained."
        return f"Failed: {counts[CaseState.FAILED]} of {counts.total()} cases miss the SLO; the worst is a pair."

    def _cases(self) -> list[CaseReport]:
        found = [self._measured(0, "baseline", CaseType.BASELINE, [], 0, 12.0)]
        self._alone = {name: (self._random.choice([0, 0, 0, 0, 12.5, 100]), self._slowness()) for name in self._names}
        for name in self._names:
            rate, slow = self._alone[name]
            found.append(self._case(len(found), [name], rate, slow))
        for first, second in combinations(self._names, 2):
            (first_rate, slow), (second_rate, slower) = self._alone[first], self._alone[second]
            rate = 100 if self._random.random() < 0.07 else max(first_rate, second_rate)
            surprise = 4 if self._random.random() < 0.05 else 1
            found.append(self._case(len(found), [first, second], rate, max(slow, slower) * surprise))
        return found

    def _slowness(self) -> float:
        return 12.0 * self._random.choice([1, 1.02, 1.05, 1.3, 2.2, 6])

    def _case(self, index: int, services: list[str], rate: float, p95: float) -> CaseReport:
        kind = CaseType.SINGLE if len(services) == 1 else CaseType.DUAL
        unmeasured = self._unmeasured(index, services)
        if unmeasured is not None:
            return CaseReport(
                index=index,
                case_id="+".join(services),
                case_type=kind,
                services=services,
                state=unmeasured,
                outcome=_OUTCOMES[unmeasured],
                reason=_REASONS.get(unmeasured, ""),
            )
        return self._measured(index, "+".join(services), kind, services, rate, p95)

    def _unmeasured(self, index: int, services: list[str]) -> CaseState | None:
        if self._deaf & {*services}:
            return CaseState.INVALID
        if self._mute & {*services}:
            return CaseState.SKIPPED
        if index >= self._reached:
            return CaseState.MISSING
        return CaseState.EXCLUDED if len(services) == 2 and index % 17 == 0 else None

    def _measured(
        self, index: int, case_id: str, kind: CaseType, services: list[str], rate: float, p95: float
    ) -> CaseReport:
        requests = 80
        errors = round(requests * rate / 100)
        successes = requests - errors
        ratio = p95 / 12
        state = _state(rate, ratio) if not self._aborted else CaseState.UNJUDGED
        reasons = {
            CaseState.FAILED: f"error rate {rate:g}% above 1%" if rate > 1 else f"p95 {p95:.0f} ms, {ratio:.2f} times",
            CaseState.INCONCLUSIVE: "p95 may be slower than allowed: about 200 more requests would tell",
        }
        shown = p95 if successes >= 59 else None
        return CaseReport(
            index=index,
            case_id=case_id,
            case_type=kind,
            services=services,
            state=state,
            outcome=CaseOutcome.MEASURED,
            reason=reasons.get(state, ""),
            requests=requests,
            successes=successes,
            error_rate=rate,
            errors_by_kind={"status 503": errors} if errors else {},
            p50_ms=round(p95 * 0.6, 3) if successes else None,
            p95_ms=None if shown is None else round(shown, 3),
            max_ms=round(p95 * 1.7, 3) if successes else None,
            unsupported=[
                percentile
                for percentile, least in ((Percentile.P95, 59), (Percentile.P99, 299))
                if 0 < successes < least
            ],
            per_second=round(80 / 1.4, 2),
            p50_ratio=round(ratio, 4) if successes else None,
            p95_ratio=None if shown is None else round(ratio, 4),
            ratio=Ratio(
                percentile=Percentile.P95,
                value=round(ratio, 4),
                low=round(ratio * 0.93, 4),
                high=round(ratio * 1.12, 4),
                limit=1.5,
                beside=True,
            )
            if index and shown is not None
            else None,
            finding=_finding(ratio) if index and shown is not None else None,
            answer_status=503 if errors else 200,
            answer_body=NASTY if errors else '{"items": [1, 2, 3]}',
            histogram=self._histogram(successes, p95 * 1000 * 0.6),
            found_by=FoundBy.REAL_FAULTS if index == 1 else FoundBy.RULES if index else None,
            real=RealReport(requests=2, differs=[f"body at $.{NASTY}"], status=None, body=NASTY, error="timeout")
            if index == 1
            else None,
            substituted=services if index == 1 else [],
        )

    def _histogram(self, successes: int, middle_us: float) -> list[tuple[int, int]] | None:
        if not successes:
            return None
        drawn = (math.log10(middle_us * self._random.lognormvariate(0, 0.3)) * 20 for _ in range(successes))
        found = Counter(math.ceil(exponent) for exponent in drawn)
        return [(round(10 ** (bound / 20)), many) for bound, many in sorted(found.items())]

    def _pairs(self, cases: list[CaseReport]) -> list[PairCell]:
        by_id = {case.case_id: case for case in cases}
        return [self._pair(case, by_id) for case in cases if case.case_type is CaseType.DUAL]

    def _pair(self, case: CaseReport, by_id: dict[str, CaseReport]) -> PairCell:
        first, second = case.services
        first_rate, second_rate = by_id[first].error_rate, by_id[second].error_rate
        interaction = None
        if case.error_rate is not None and first_rate is not None and second_rate is not None:
            together = 100 * (1 - (1 - first_rate / 100) * (1 - second_rate / 100))
            expected = by_id[first].p95_ms, by_id[second].p95_ms
            sums = None if None in expected or case.p95_ms is None else round(sum(filter(None, expected)) - 12, 3)
            interaction = Interaction(
                error_points=round(case.error_rate - max(first_rate, second_rate), 2),
                expected_error_rate=round(together, 2),
                error_points_unexpected=round(case.error_rate - together, 2),
                percentile=None if sums is None else Percentile.P95,
                expected_ms=sums,
                excess_ms=None if sums is None or case.p95_ms is None else round(case.p95_ms - sums, 3),
                times_expected=None if sums is None or case.p95_ms is None else round(case.p95_ms / sums, 3),
                worse=case.error_rate - together > 10,
            )
        return PairCell(
            first=first,
            second=second,
            case_index=case.index,
            state=case.state,
            error_rate=case.error_rate,
            p50_ratio=case.p50_ratio,
            p95_ratio=case.p95_ratio,
            interaction=interaction,
        )

    def _service(self, name: str, at: int) -> ServiceReport:
        mute = name in self._mute
        failing = CapturedReport(
            method="GET",
            path=f"/api/{name}/items/%7Bid%7D",
            status=503,
            content_type="application/json",
            body=f'{{"error": "{name} is gone", "hint": "{NASTY}"}}',
            healthy_status=200,
            healthy_body='{"items": [{"id": 1, "name": "socks"}]}',
        )
        return ServiceReport(
            service=name,
            fault="remove",
            fault_type="remove",
            fault_name=f"hf-abc123-{name}-0f0f0f0f-1",
            experiment={"scope": "container", "target": "container", "action": "remove", "container-names": name},
            state=InjectionState.FAILED if mute else InjectionState.RECOVERED,
            error=_REASONS[CaseState.SKIPPED] if mute else "",
            recorded_requests=2,
            baggage_forwarded=name not in self._deaf,
            token=f"chaos.{name}.remove=1",
            broken_seconds=2.5,
            case_index=at + 1,
            captured=[] if mute else [failing],
        )

    def _windows(self) -> list[WindowSpan]:
        def span(kind: WindowKind, name: str, start: float, end: float, peer: str = "") -> WindowSpan:
            return WindowSpan(
                window_id=f"{kind}/1/{name}".rstrip("/"),
                kind=kind,
                service=name,
                peer_name=peer,
                state=WindowState.CLOSED,
                intent_at=BEGAN + timedelta(seconds=start),
                recovered_at=BEGAN + timedelta(seconds=end),
                seconds=round(end - start, 3),
            )

        faults = [
            span(WindowKind.FAULT, name, 8 + 3 * at, 10.5 + 3 * at, f"hf-abc123-{name}-0f0f0f0f-1")
            for at, name in enumerate(self._names)
        ]
        rules = 10 + 3 * len(self._names)
        ends = span(WindowKind.RULES, "", rules, rules + 30, "hfabc123x")
        lock = span(WindowKind.LOCK, "", 0.2, rules + 32)
        return [lock, span(WindowKind.RECORDING, "", 1, 6), *faults, ends]

    def _timeline(self, windows: list[WindowSpan]) -> Timeline:
        end = BEGAN + timedelta(seconds=45 + 3 * len(self._names))
        marks = [0, 1, 7, 9 + 3 * len(self._names), 14 + 3 * len(self._names), 45 + 3 * len(self._names)]
        phases = [*Phase][:5]
        return Timeline(
            started_at=BEGAN,
            finished_at=end,
            seconds=(end - BEGAN).total_seconds(),
            phases=[
                PhaseSpan(
                    phase=phase,
                    started_at=BEGAN + timedelta(seconds=start),
                    finished_at=BEGAN + timedelta(seconds=stop),
                    seconds=stop - start,
                )
                for phase, start, stop in zip(phases, marks[:-1], marks[1:], strict=True)
            ],
            windows=windows,
            notices=[
                Notice(at=BEGAN + timedelta(seconds=20), level="WARN", message="no baggage reaches a service"),
                Notice(at=BEGAN + timedelta(seconds=25), level="ERROR", message=f"FAULT_NOT_RUNNING: {NASTY}"),
            ],
        )

    def _state(
        self, cases: list[CaseReport], counts: Counter[CaseState], verdict: Verdict | None, windows: list[WindowSpan]
    ) -> ResilienceState:
        types = Counter(case.case_type for case in cases)
        measured = [case for case in cases if case.error_rate is not None]
        tokens = {name: f"chaos.{name}.remove=1" for name in self._names[:50]}
        return ResilienceState(
            execution_id=3772221118529536,
            plan="shop",
            task_id=7001,
            req_def_id=7002,
            environment="127.0.0.1:8102",
            namespace="shop",
            status=RunStatus.FAILED if self._aborted else RunStatus.COMPLETED,
            phase=Phase.FAILED if self._aborted else Phase.DONE,
            verdict=verdict,
            recovery=Recovery.VERIFIED,
            started_at=BEGAN,
            updated_at=BEGAN + timedelta(seconds=90),
            finished_at=BEGAN + timedelta(seconds=91),
            error_code=ErrorCode.ABORTED if self._aborted else None,
            error_message="too many users complained" if self._aborted else "",
            phases=[PhaseTime(phase=Phase.GENERATING_CASES, started_at=BEGAN)],
            analysis=AnalysisPanel(
                services=len(self._names),
                state="completed",
                analyze_task_id="analyze-51",
                record_id="hfabc123x",
                recorded=[
                    RecordedService(service=name, patterns=2, baggage_forwarded=name not in self._deaf)
                    for name in self._names
                ],
                stability=[ServiceStability(service=self._names[0], stable=True, waited_seconds=0.4)],
            ),
            generated=CasesPanel(
                total=len(cases),
                baseline=1,
                single=types[CaseType.SINGLE],
                dual=types[CaseType.DUAL],
                baggage_tokens=len(self._names),
                tokens=tokens,
            ),
            cases=CaseCounts(
                total=len(cases),
                measured=len(measured),
                passed=counts[CaseState.PASSED],
                failed=counts[CaseState.FAILED],
                inconclusive=counts[CaseState.INCONCLUSIVE],
            ),
            injections=[
                InjectionRow(
                    service=name,
                    fault_name=f"hf-abc123-{name}-0f0f0f0f-1",
                    state=InjectionState.RECOVERED,
                    replay_status=503,
                    stable=True,
                )
                for name in self._names
            ],
            injections_completed=len(self._names),
            rules=RulesPanel(rules=2 * len(self._names), ready=False, ttl_seconds=600),
            load=LoadPanel(
                batches_total=-(-len(cases) // 18),
                batches_done=len(measured) // 18,
                batch_size=18,
                cases_total=len(cases),
                cases_done=len(measured),
                worst_p95_ms=72.4,
                worst_p95_case="cart+payment",
                worst_max_ms=123,
                worst_max_case="cart+payment",
                mean_error_rate=8.25,
            ),
            steady_before=SteadyReport(met=True),
            steady_after=SteadyReport(met=True),
            windows=[WindowRow(window_id=window.window_id, kind=window.kind, state=window.state) for window in windows],
        )


def _state(rate: float, ratio: float) -> CaseState:
    if rate > 1 or ratio > 1.5:
        return CaseState.FAILED
    return CaseState.INCONCLUSIVE if ratio > 1.1 else CaseState.PASSED


def _finding(ratio: float) -> Finding:
    return {True: Finding.REGRESSION, False: Finding.EQUIVALENT}[ratio > 1.5]


def _badness(pair: PairCell) -> float:
    points = pair.interaction.error_points_unexpected if pair.interaction else None
    excess = pair.interaction.excess_ms if pair.interaction else None
    return (1000 if points is None and pair.interaction else 0) + (points or -1000) * 10 + (excess or 0)
