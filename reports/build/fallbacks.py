"""Fallback calls and real faults in a report, from what discovery stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from clients.store.read_models import CheckedPair
from domain.calls.discovery import Calls, healthy_calls, key_of, only_when_broken
from domain.calls.model import FallbackCall, RealAnswer, RealCase
from domain.cases.cases import case_at, case_count, pair_case, places_of
from domain.measuring.load import CaseOutcome
from domain.pairs.comparing import differences, in_status_or_body, last_answer
from domain.pairs.fidelity import PairOutcome
from domain.traffic.exchange import CapturedAnswer, Measurement
from reports.build.cases import LONGEST_ANSWER, cut
from reports.build.reading import StoredRun
from reports.model.calls import CallStanding, FallbackCallReport, FallbackReport, GroundsReport
from reports.model.cases import CaseReport, RealReport

MOST_CALLS = 200
MOST_SERVICES = 50

LONGEST_PATH = 300
"""Characters of a call's path, or of a sentence about calls. Such a sentence explains why no rule answers a call, or
what was not seen."""

LONGEST_METHOD = 20

_PAIR = 2
_DAMAGED = "stored rows of what was found are damaged"


def fallback_report(run: StoredRun) -> FallbackReport | None:
    """Report the calls that failures cause.

    None if the run did not look for them.
    """
    if not run.rounds and not run.rounds.damaged:
        return None
    names = run.plan.service_names
    healthy = healthy_calls(run.calls)
    captured = _first_answers(run)
    known = [call for call in run.calls if 0 <= call.case_index < case_count(len(names))]
    calls = sorted((_call(call, names, healthy, captured) for call in known), key=_worst_first)
    return FallbackReport(
        found=len(only_when_broken(run.calls)),
        open=sum(call.standing is CallStanding.OPEN for call in calls),
        calls=calls[:MOST_CALLS],
        calls_left_out=max(0, len(calls) - MOST_CALLS),
        unseen=_unseen(run),
    )


def _first_answers(run: StoredRun) -> dict[tuple[str, str, str], CapturedAnswer]:
    """Return the first answer to each call, from which rules are made."""
    captured: dict[tuple[str, str, str], CapturedAnswer] = {}
    for answers in run.captured.values():
        for answer in answers:
            captured.setdefault((answer.service, answer.method, answer.path), answer)
    return captured


def _call(
    call: FallbackCall,
    names: list[str],
    healthy: Calls,
    captured: Mapping[tuple[str, str, str], CapturedAnswer],
) -> FallbackCallReport:
    places = set(places_of(len(names), call.case_index))
    called = names.index(call.service) if call.service in names else None
    failing = places if called is None else places | {called}
    decides = ""
    if called is not None and len(failing) <= _PAIR:
        index = pair_case(len(names), *sorted(failing)) if len(failing) == _PAIR else 1 + called
        decides = case_at(names, index).case_id
    standing, reason = _standing(call, decides, captured)
    return FallbackCallReport(
        under=case_at(names, call.case_index).case_id,
        case_index=call.case_index,
        service=call.service,
        method=cut(call.method, LONGEST_METHOD),
        path=cut(call.path, LONGEST_PATH),
        times=call.times,
        healthy_times=healthy[key_of(call)],
        retry=called in places,
        standing=standing,
        reason=reason,
        decides=decides,
    )


def _standing(
    call: FallbackCall, decides: str, captured: Mapping[tuple[str, str, str], CapturedAnswer]
) -> tuple[CallStanding, str]:
    answer = captured.get(key_of(call))
    if answer is not None:
        return (CallStanding.UNCHANGED if answer.no_effect else CallStanding.RULED), ""
    if not decides:
        return CallStanding.NEEDLESS, ""
    return CallStanding.OPEN, cut(call.reason, LONGEST_PATH) or "how its service fails at it was not captured"


def _worst_first(call: FallbackCallReport) -> tuple[int, int, int, str, str, str]:
    """Order calls: open ones first, then new ones, then more frequent ones.

    Calls that only ask a failing service again come last.
    """
    new = call.case_index > 0 and not call.healthy_times
    if call.standing is CallStanding.OPEN:
        rank = 0
    elif new:
        rank = 1
    else:
        rank = 3 if call.retry else 2
    usual = call.healthy_times if call.case_index else 0
    return rank, usual - call.times, call.case_index, call.service, call.path, call.method


def _unseen(run: StoredRun) -> list[str]:
    sentences = []
    for call_round in run.rounds:
        if call_round.complete:
            continue
        of = f"of {', '.join(call_round.unread[:MOST_SERVICES])}" if call_round.unread else "of any service"
        more = len(call_round.unread) - MOST_SERVICES
        of += f" and {more} more" if more > 0 else ""
        why = f": {call_round.detail}" if call_round.detail else ""
        sentences.append(cut(f"round {call_round.round} did not see all calls {of}{why}", LONGEST_PATH))
    return [*sentences, _DAMAGED] if run.rounds.damaged or run.calls.damaged else sentences


def with_real_faults(cases: list[CaseReport], run: StoredRun) -> list[CaseReport]:
    """Add real faults' answers and substituted services to the cases."""
    results = {kept.case_index: kept for kept in run.results.kept}
    real = _runs_with_real_faults(run)
    substituted = _substituted_services(run)
    reports = []
    for case in cases:
        facts: dict[str, object] = {}
        result = results.get(case.index)
        if result is not None and result.found_by is not None:
            facts["found_by"] = result.found_by
        if case.index in real and result is not None and result.measurement is not None:
            facts["real"] = _differing_or_first([_real_report(result.measurement, asked) for asked in real[case.index]])
        if not substituted.isdisjoint(case.services):
            facts["substituted"] = [name for name in case.services if name in substituted]
        reports.append(case.model_copy(update=facts) if facts else case)
    return reports


def _substituted_services(run: StoredRun) -> set[str]:
    """Return the services that gave no HTTP answer when they were broken."""
    return {name for name, answers in run.captured.items() if any(answer.substituted for answer in answers)}


_RealFaultRun = RealCase | CheckedPair
"""A case run with real faults: to find its calls, or to check a pair."""


def _runs_with_real_faults(run: StoredRun) -> dict[int, list[_RealFaultRun]]:
    runs: defaultdict[int, list[_RealFaultRun]] = defaultdict(list)
    for case in run.real:
        # The baseline breaks nothing, neither by rules nor by real faults.
        if case.answers and case.case_index:
            runs[case.case_index].append(case)
    for pair in run.checked:
        if pair.finding.outcome is not PairOutcome.UNCHECKED and pair.measurement is not None:
            runs[pair.case_index].append(pair)
    return runs


def _real_report(rules: Measurement, asked: _RealFaultRun) -> RealReport:
    if isinstance(asked, RealCase):
        differs = differences(rules, asked.answers)
        answers = asked.answers
        requests = len(answers)
        differing = [real for real in answers if real.status != rules.response_code]
        answer = (differing or answers)[0]
    else:
        differs = in_status_or_body(asked.finding)
        last = last_answer(asked.measurement or rules)
        answer = RealAnswer(status=last.status, body=last.body, error=last.error)
        requests = asked.measurement.requests if asked.measurement else 0
    if not differs:
        return RealReport(requests=requests)
    return RealReport(
        requests=requests,
        differs=[cut(difference, LONGEST_ANSWER) for difference in differs],
        status=answer.status,
        body=cut(answer.body, LONGEST_ANSWER),
        error="" if answer.status is not None else answer.error,
    )


def _differing_or_first(reports: list[RealReport]) -> RealReport:
    """Return the report that differs if a case was asked twice."""
    return next((report for report in reports if report.differs), reports[0])


def grounds(run: StoredRun, cases: Iterable[CaseReport]) -> GroundsReport | None:
    """Report what the verdicts rest on.

    None if the run did not look for fallback calls.
    """
    if not run.rounds and not run.rounds.damaged:
        return None
    names = run.plan.service_names
    real = _runs_with_real_faults(run)
    substituted = _substituted_services(run)
    places = {place for place, name in enumerate(names) if name in substituted}
    resting = [
        index
        for index, (outcome, _) in run.results.found.items()
        if outcome is CaseOutcome.MEASURED and not places.isdisjoint(places_of(len(names), index))
    ]
    return GroundsReport(
        asked=len(real),
        differed=sum(bool(case.real and case.real.differs) for case in cases),
        by_real_faults=run.results.by_real_faults,
        substituted=len(resting),
        substituted_asked=sum(index in real for index in resting),
        substituted_services=sorted(substituted)[:MOST_SERVICES],
    )
