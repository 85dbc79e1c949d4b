"""Every field of the five panels (`stages` section 3), and the words that show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from re import sub

from domain.executions.execution import RunStatus
from domain.executions.windows import WindowKind, WindowState
from domain.resilience.state import InjectionRow, ResilienceState
from reports.text.sentences import recovery_sentence, verdict_sentence
from reports.text.values import count, milliseconds

Words = Callable[[ResilienceState], str]


@dataclass(frozen=True)
class Field:
    """One field of the panels."""

    of: Callable[[ResilienceState], object]
    """True of a state that has it."""
    words: Words
    """As `status` and `watch` show it."""
    page: Words | None = None
    """As the report's page shows it. None: in the same words."""
    in_passing: str = ""
    """The words of `watch` for what holds only for a moment.

    Neither the last `status` nor a report has it.
    """

    def words_of_page(self, state: ResilienceState) -> str:
        return (self.page or self.words)(state)


def text_of(page: str) -> str:
    """Return what a reader sees of a page.

    Blocks are kept apart; words that are only marked as code are not.
    """
    body = sub(r"(?s)<(style|script)\b.*?</\1>", " ", page)
    return " ".join(unescape(sub(r"<[^>]+>", " ", sub(r"</?(code|span)\b[^>]*>", "", body))).split())


def _reviews(state: ResilienceState) -> InjectionRow:
    return next(row for row in state.injections if row.service == "reviews")


def _fallback_calls(state: ResilienceState) -> str:
    return count(state.fallback_calls, "fallback call") if state.fallback_calls else "no fallback calls"


FIELDS: dict[str, Field] = {
    # Header.
    "execution id": Field(lambda s: s.execution_id, lambda s: f"execution {s.execution_id}"),
    "task id": Field(lambda s: s.task_id, lambda s: f"task {s.task_id}"),
    "request id": Field(lambda s: s.req_def_id, lambda s: f"request {s.req_def_id}"),
    "namespace": Field(lambda s: s.namespace == "shop", lambda s: "namespace shop"),
    "status": Field(lambda s: s.status is RunStatus.COMPLETED, lambda s: "status completed"),
    "phase": Field(lambda s: s.finished_at and s.phase == "DONE", lambda s: "phase DONE", lambda s: "DONE"),
    "verdict": Field(lambda s: s.verdict, lambda s: "verdict failed", verdict_sentence),
    "recovery": Field(lambda s: s.recovery == "verified", lambda s: "recovery verified", recovery_sentence),
    "started": Field(lambda s: s.started_at, lambda s: f"started {s.started_at:%Y-%m-%d %H:%M:%S}"),
    "updated": Field(lambda s: s.updated_at, lambda s: f"updated {s.updated_at:%Y-%m-%d %H:%M:%S}"),
    "finished": Field(lambda s: s.finished_at, lambda s: f"finished {s.finished_at:%Y-%m-%d %H:%M:%S}"),
    "steady state before": Field(
        lambda s: s.steady_before and s.steady_before.met,
        lambda s: "steady state before the run: met",
        lambda s: "steady state before met",
    ),
    "steady state after": Field(
        lambda s: s.steady_after and s.steady_after.met,
        lambda s: "steady state after the run: met",
        lambda s: "steady state after met",
    ),
    # ANALYZING_PATTERNS.
    "services to analyse": Field(lambda s: s.analysis.services == 5, lambda s: "5 services"),
    "analysis state": Field(
        lambda s: s.analysis.state == "completed", lambda s: "analysis: completed", lambda s: "completed, 5 services"
    ),
    "analysis task": Field(lambda s: s.analysis.analyze_task_id, lambda s: f"analysis {s.analysis.analyze_task_id}"),
    "record": Field(lambda s: s.analysis.record_id, lambda s: f"record {s.analysis.record_id}"),
    "recorded": Field(lambda s: len(s.analysis.recorded) == 5, lambda s: "1 recorded request"),
    "stability after analysis": Field(lambda s: len(s.analysis.stability) == 5, lambda s: "stable after"),
    # Cases and baggage.
    "cases": Field(
        lambda s: s.generated.total == 16,
        lambda s: "cases: 16 (1 baseline, 5 single, 10 pairs)",
        lambda s: "16 cases: 1 baseline, 5 single, 10 pairs",
    ),
    "baggage tokens": Field(lambda s: s.generated.baggage_tokens == 5, lambda s: "5 baggage tokens"),
    "token of a service": Field(lambda s: s.generated.tokens.get("reviews"), lambda s: "chaos.reviews.remove=1"),
    # INJECTING_AND_REPLAYING.
    "services done": Field(lambda s: s.injections_completed == 5, lambda s: "5 of 5 services done"),
    "services running": Field(lambda s: s.injections_running == 1, lambda s: "0 running", in_passing="1 running"),
    "pending": Field(
        lambda s: _reviews(s).state == "Pending", lambda s: "", in_passing="reviews                  Pending"
    ),
    "running": Field(lambda s: _reviews(s).state == "Running", lambda s: "", in_passing=" Running "),
    "recovered": Field(
        lambda s: _reviews(s).state == "Recovered",
        lambda s: "reviews                  Recovered",
        lambda s: "reviews Recovered",
    ),
    "fault name": Field(
        lambda s: _reviews(s).fault_name,
        lambda s: f"fault {_reviews(s).fault_name}",
        lambda s: f"Recovered {_reviews(s).fault_name}",
    ),
    "replay status": Field(
        lambda s: _reviews(s).replay_status == 503,
        lambda s: "replay 503",
        lambda s: f"{_reviews(s).fault_name} 503",
    ),
    "stability after recovery": Field(
        lambda s: _reviews(s).stable, lambda s: "stable again", lambda s: "503 stable again"
    ),
    "recording of calls": Field(
        lambda s: any(one.kind is WindowKind.CALLS and one.state is WindowState.OPEN for one in s.windows),
        lambda s: "",
        in_passing="calls recorded while services are broken: on",
    ),
    "fallback calls": Field(
        lambda s: s.fallback_calls is not None,
        lambda s: f"off, and seen to be off; {_fallback_calls(s)} found",
        lambda s: f"recorded meanwhile: {_fallback_calls(s)} found",
    ),
    # RULES_READY.
    "rules": Field(lambda s: s.rules.rules == 11, lambda s: "rules: 11", lambda s: "11 rules"),
    "rules ready": Field(lambda s: s.rules.ready, lambda s: "", in_passing="ready: seen to act"),
    "rules off": Field(lambda s: s.rules.rules and not s.rules.ready, lambda s: "off, and seen to be off"),
    "rules TTL": Field(lambda s: s.rules.ttl_seconds == 600, lambda s: "TTL 600 s", lambda s: "time to live 600 s"),
    "stability with rules": Field(lambda s: len(s.rules.stability) == 5, lambda s: "stable after"),
    # LOAD_TEST_BASELINE.
    "batches": Field(
        lambda s: (s.load.batches_done, s.load.batches_total) == (1, 1),
        lambda s: "batch 1 of 1",
        lambda s: "Batch 1 of 1",
    ),
    "batch size": Field(lambda s: s.load.batch_size == 18, lambda s: "18 cases each"),
    "cases done": Field(lambda s: s.load.cases_done == 16, lambda s: "16 of 16 cases done"),
    "cases with metrics": Field(lambda s: len(s.load.cases) == 16, lambda s: "baseline "),
    "worst p95": Field(
        lambda s: s.load.cases and s.load.worst_p95_ms is None,
        lambda s: "worst p95 n too small",
        lambda s: "No case had enough requests for a p95",
    ),
    "slowest request": Field(
        lambda s: s.load.worst_max_ms,
        lambda s: f"slowest request {s.load.worst_max_ms:.0f} ms ({s.load.worst_max_case})",
        lambda s: f"slowest request {milliseconds(s.load.worst_max_ms)} ({s.load.worst_max_case})",
    ),
    "mean error rate": Field(lambda s: s.load.mean_error_rate == 12.5, lambda s: "mean error rate 12.5%"),
    "failed case": Field(
        lambda s: s.failed_cases,
        lambda s: "errors 100%, p50 none, p95 none, p99 none",
        lambda s: "bestsellers + recommendations failed",
    ),
}
