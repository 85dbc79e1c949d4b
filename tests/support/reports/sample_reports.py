"""Made-up reports of any size, without a run: for tests of what renders them. A seed decides everything."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random

from domain.executions.windows import WindowKind, WindowState
from domain.faults.model import InjectionState
from domain.resilience.model import Phase
from reports.model.report import (
    CallStanding,
    CapturedReport,
    CaseState,
    CoverageReport,
    EnvironmentReport,
    FallbackCallReport,
    FallbackReport,
    GroundsReport,
    Notice,
    PhaseSpan,
    ReasonCount,
    Report,
    ServiceReport,
    Timeline,
    WindowSpan,
)
from tests.support.reports.sample_cases import NASTY, REASONS, UNMEASURED, SampleCases
from tests.support.reports.sample_state import BEGAN, sample_state

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
        self._aborted = aborted
        self._names = sorted(_WORDS[at] if at < len(_WORDS) else f"service-{at}" for at in range(services))
        self._drawn = SampleCases(self._names, random, aborted=aborted)

    def report(self) -> Report:
        cases = self._drawn.cases()
        pairs = self._drawn.pairs(cases)
        counts = Counter(case.state for case in cases)
        measured = sum(case.error_rate is not None for case in cases)
        windows = self._windows()
        wanted = len(cases) - counts[CaseState.EXCLUDED]
        return Report(
            holdfast_version="0.0.1",
            written_at=BEGAN + timedelta(hours=1),
            title="shop, 2026-11-21 20:15 UTC",
            verdict_sentence=self._verdict_sentence(counts),
            recovery_sentence="Everything that was switched on was seen to be off again.",
            run=sample_state(self._names, self._drawn.deaf, cases, windows, aborted=self._aborted),
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
                    ReasonCount(state=state, reason=REASONS.get(state, ""), cases=counts[state], examples=["cart"])
                    for state in UNMEASURED
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

    def _service(self, name: str, at: int) -> ServiceReport:
        mute = name in self._drawn.mute
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
            error=REASONS[CaseState.SKIPPED] if mute else "",
            recorded_requests=2,
            baggage_forwarded=name not in self._drawn.deaf,
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
