"""Fallback calls and real faults in a report, made of what discovery has stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from clients.store.read_models import CheckedPair
from reports.call_parts import CallStanding, FallbackCallReport, FallbackReport, GroundsReport
from reports.case_parts import CaseReport, RealReport
from reports.case_reports import LONGEST_ANSWER, cut
from reports.reading import StoredRun
from workflows.contracts.calls import FallbackCall, RealAnswer, RealCase
from workflows.contracts.exchange import CapturedAnswer, Measurement
from workflows.contracts.fidelity import PairOutcome
from workflows.contracts.load import CaseOutcome
from workflows.logic.calls import Calls, healthy_calls, key_of, only_when_broken
from workflows.logic.cases import case_at, case_count, pair_case, places_of
from workflows.logic.fidelity import differences, in_status_or_body, last_answer

MOST_CALLS = 200
MOST_SERVICES = 50

LONGEST_PATH = 300
"""Characters of a call's path, and of why no rule answers it."""

LONGEST_METHOD = 20

_PAIR = 2
_DAMAGED = "stored rows of what was found are damaged"


def fallback_report(run: StoredRun) -> FallbackReport | None:
    """The calls that failures cause; None for a run in which nobody looked for them."""
    if not run.rounds and not run.rounds.damaged:
        return None
    names, healthy, captured = run.plan.service_names, healthy_calls(run.calls), _captured(run)
    known = [one for one in run.calls if 0 <= one.case_index < case_count(len(names))]
    found = sorted((_call(one, names, healthy, captured) for one in known), key=_worst_first)
    return FallbackReport(
        found=len(only_when_broken(run.calls)),
        open=sum(one.standing is CallStanding.OPEN for one in found),
        calls=found[:MOST_CALLS],
        calls_left_out=max(0, len(found) - MOST_CALLS),
        unseen=_unseen(run),
    )


def _captured(run: StoredRun) -> dict[tuple[str, str, str], CapturedAnswer]:
    """The first answer of each call: what a rule is made of."""
    found: dict[tuple[str, str, str], CapturedAnswer] = {}
    for answers in run.captured.values():
        for one in answers:
            found.setdefault((one.service, one.method, one.path), one)
    return found


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
    """Open ones, then new ones, then more frequent ones; what only asks a failing service again comes last."""
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
    found = []
    for one in run.rounds:
        if one.complete:
            continue
        of = f"of {', '.join(one.unread[:MOST_SERVICES])}" if one.unread else "of any service"
        more = len(one.unread) - MOST_SERVICES
        of += f" and {more} more" if more > 0 else ""
        why = f": {one.detail}" if one.detail else ""
        found.append(cut(f"round {one.round} did not see all calls {of}{why}", LONGEST_PATH))
    return [*found, _DAMAGED] if run.rounds.damaged or run.calls.damaged else found


def with_real_faults(cases: list[CaseReport], run: StoredRun) -> list[CaseReport]:
    """The cases with what their services really answered, and with those whose failure is a substitute."""
    results = {one.case_index: one for one in run.results.kept}
    real, substituted = _real(run), _substituted(run)
    found = []
    for case in cases:
        facts: dict[str, object] = {}
        result = results.get(case.index)
        if result is not None and result.found_by is not None:
            facts["found_by"] = result.found_by
        if case.index in real and result is not None and result.measurement is not None:
            facts["real"] = _worst([_compared(result.measurement, one) for one in real[case.index]])
        if not substituted.isdisjoint(case.services):
            facts["substituted"] = [name for name in case.services if name in substituted]
        found.append(case.model_copy(update=facts) if facts else case)
    return found


def _substituted(run: StoredRun) -> set[str]:
    """Services that gave no HTTP answer when they were broken."""
    return {name for name, answers in run.captured.items() if any(one.substituted for one in answers)}


_Asked = RealCase | CheckedPair
"""A case that was asked with real faults: for its calls, or to be compared."""


def _real(run: StoredRun) -> dict[int, list[_Asked]]:
    found: defaultdict[int, list[_Asked]] = defaultdict(list)
    for case in run.real:
        # Of the baseline nothing is broken, by rules or really.
        if case.answers and case.case_index:
            found[case.case_index].append(case)
    for pair in run.checked:
        if pair.finding.outcome is not PairOutcome.UNCHECKED and pair.measurement is not None:
            found[pair.case_index].append(pair)
    return found


def _compared(rules: Measurement, asked: _Asked) -> RealReport:
    if isinstance(asked, RealCase):
        differs, answers = differences(rules, asked.answers), asked.answers
        requests = len(answers)
        other = [one for one in answers if one.status != rules.response_code]
        answer = (other or answers)[0]
    else:
        differs = in_status_or_body(asked.finding)
        last = last_answer(asked.measurement or rules)
        answer = RealAnswer(status=last.status, body=last.body, error=last.error)
        requests = asked.measurement.requests if asked.measurement else 0
    if not differs:
        return RealReport(requests=requests)
    return RealReport(
        requests=requests,
        differs=[cut(one, LONGEST_ANSWER) for one in differs],
        status=answer.status,
        body=cut(answer.body, LONGEST_ANSWER),
        error="" if answer.status is not None else answer.error,
    )


def _worst(found: list[RealReport]) -> RealReport:
    """A case that was asked twice: what differs counts."""
    return next((one for one in found if one.differs), found[0])


def grounds(run: StoredRun, cases: Iterable[CaseReport]) -> GroundsReport | None:
    """What the verdicts rest on; None for a run in which nobody looked for fallback calls."""
    if not run.rounds and not run.rounds.damaged:
        return None
    names, real, substituted = run.plan.service_names, _real(run), _substituted(run)
    places = {place for place, name in enumerate(names) if name in substituted}
    resting = [
        index
        for index, (outcome, _) in run.results.found.items()
        if outcome is CaseOutcome.MEASURED and not places.isdisjoint(places_of(len(names), index))
    ]
    return GroundsReport(
        asked=len(real),
        differed=sum(bool(one.real and one.real.differs) for one in cases),
        by_real_faults=run.results.by_real_faults,
        substituted=len(resting),
        substituted_asked=sum(index in real for index in resting),
        substituted_services=sorted(substituted)[:MOST_SERVICES],
    )
