"""Pair fidelity: do pairs made of rules behave like real faults?

Chooses the pairs that run with two real faults, and compares both sides.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, NamedTuple

from domain.calls.model import RealAnswer
from domain.executions.execution import Verdict
from domain.pairs.fidelity import PairChoice, PairFidelity, PairFinding, PairOutcome
from domain.traffic.exchange import Measurement
from domain.traffic.volatile import masked

MOST_PAIRS = 10_000
"""Pairs that one run verifies, at most. With more, the history of the run would grow beyond its bound."""

PAGES = 50
"""Pages that few pairs are cut into. Enough for a person to see progress."""

MOST_PER_PAGE = 80
"""Keeps a page's history under 10,000 events; a pair costs about 70."""


SHOWN = 50
"""Findings that travel with the run's result, at most."""

_PLACES = 5
"""Places of a body that are named, at most."""


class Answer(NamedTuple):
    """One answer, redacted."""

    status: int | None
    """None if there was no HTTP answer."""
    body: str
    error: str = ""
    """Why there was none."""


class Side(NamedTuple):
    """One of the two sides that are compared: rules, or real faults."""

    answers: list[Answer]
    """With rules the last answer, which is what the store keeps. With faults all of them."""
    verdict: Verdict
    reason: str


def last_answer(measurement: Measurement) -> Answer:
    """Return the answer that the load test keeps of a case."""
    kinds = ", ".join(measurement.errors_by_kind)
    return Answer(measurement.response_code, measurement.response_body, kinds)


def how_many(pairs: int, share: float) -> int:
    """Return how many pairs a percentage amounts to, at least one."""
    # Rounded before the ceiling: 43.2 % of 375 is 162.00000000000003 in binary.
    return min(pairs, max(1, ceil(round(pairs * share / 100, 9))))


def chosen(measured: Sequence[int], share: float) -> list[int]:
    """Choose `share` percent of these case indices, spread evenly.

    At least one is chosen, and always the same ones for the same run.
    """
    if not measured:
        return []
    wanted = how_many(len(measured), share)
    return [measured[number * len(measured) // wanted] for number in range(wanted)]


def choice_in_words(choice: PairChoice) -> str:
    """Describe, for the run's log, how many pairs get two real faults."""
    why = "" if choice.asked_for else ", because their results are in doubt"
    return f"{choice.chosen} of {choice.measured} measured pairs run with two real faults{why}"


def per_page(pairs: int) -> int:
    """Return how many pairs one window verifies."""
    return min(MOST_PER_PAGE, max(1, ceil(pairs / PAGES)))


def compared(case_id: str, rules: Side, faults: Side) -> PairFinding:
    """Compare a pair by status, body and verdict, and name the differences.

    The answer with rules agrees if it is among the answers with faults: a system may have more than one answer to the
    same failures.
    """
    (with_rules,) = rules.answers
    same_status = [answer for answer in faults.answers if answer.status == with_rules.status]
    places = _differing(with_rules.body, [answer.body for answer in same_status or faults.answers])
    verdict_agrees = rules.verdict is faults.verdict
    differs = []
    if not same_status:
        seen = sorted({_status(answer) for answer in faults.answers})
        differs.append(f"status {_status(with_rules)} with rules, {' or '.join(seen)} with faults")
    if places:
        more = f" and {len(places) - _PLACES} more places" if len(places) > _PLACES else ""
        differs.append(f"body at {', '.join(places[:_PLACES])}{more}")
    if not verdict_agrees:
        differs.append(f"verdict {_verdict(rules)} with rules, {_verdict(faults)} with faults")
    return PairFinding(
        case_id=case_id,
        outcome=PairOutcome.DISAGREED if differs else PairOutcome.AGREED,
        status_agrees=bool(same_status),
        body_agrees=not places,
        verdict_agrees=verdict_agrees,
        differs=differs,
    )


def differences(rules: Measurement, real: Sequence[RealAnswer]) -> list[str]:
    """Return how the answers of really broken services differ from the rules'.

    Only status and body are compared. Empty without real answers.
    """
    if not real:
        return []
    faults = [Answer(answer.status, answer.body, answer.error) for answer in real]
    # The same on both sides, so that only status and body can differ.
    verdict = Verdict.INCONCLUSIVE
    return compared("", Side([last_answer(rules)], verdict, ""), Side(faults, verdict, "")).differs


def in_status_or_body(finding: PairFinding) -> list[str]:
    """Return a pair's differences in status or body, without its verdict."""
    return [difference for difference in finding.differs if not difference.startswith("verdict ")]


def _status(answer: Answer) -> str:
    return str(answer.status) if answer.status is not None else f"no answer ({answer.error})"


def _verdict(side: Side) -> str:
    return f"{side.verdict} ({side.reason})" if side.reason else str(side.verdict)


def _differing(with_rules: str, with_faults: Sequence[str]) -> list[str]:
    """Return the places where a body matches none seen with faults.

    If there are several such bodies, the nearest one counts.
    """
    seen = [_leaves(body) for body in with_faults]
    # A number that varies between answers to the same failures is no difference.
    varying = _varying_numbers(seen)
    mine = _leaves(with_rules)
    found = [
        sorted(
            place
            for place in mine.keys() | leaves.keys()
            if place not in varying and mine.get(place) != leaves.get(place)
        )
        for leaves in seen
    ]
    return min(found, key=len)


def _varying_numbers(answers: Sequence[dict[str, Any]]) -> set[str]:
    """Return the places where numbers vary between answers to the same failures.

    Such numbers are durations and counters, for example.
    """
    places = set().union(*(answer.keys() for answer in answers))
    return {
        place
        for place in places
        if len({repr(answer.get(place)) for answer in answers}) > 1
        and all(isinstance(answer[place], (int, float)) for answer in answers if place in answer)
        and all(place in answer for answer in answers)
    }


def _leaves(body: str) -> dict[str, Any]:
    """Return a JSON body's values by place.

    Any other body is one text. What is volatile is masked by its shape.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {"text": masked(body)}
    found: dict[str, Any] = {}
    # A stack instead of recursion: a body may be nested deeply.
    pending: list[tuple[str, Any]] = [("$", parsed)]
    while pending:
        place, value = pending.pop()
        children: Iterable[tuple[str, Any]] = ()
        if isinstance(value, dict):
            children = ((f"{place}.{masked(name)}", child) for name, child in value.items())
        elif isinstance(value, list):
            children = ((f"{place}[{number}]", child) for number, child in enumerate(value))
        if value and isinstance(value, (dict, list)):
            pending += children
        else:
            found[place] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return str, masked(value)
    if isinstance(value, int) and not isinstance(value, bool) and masked(str(value)) == "<epoch>":
        return "<epoch>"
    # With its type: in Python True equals 1, and text may read like anything.
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else (type(value), str(value))


def add_findings(before: PairFidelity, findings: Iterable[PairFinding]) -> PairFidelity:
    """Add findings to the fidelity so far."""
    new = list(findings)
    kept = [*before.findings, *(finding for finding in new if finding.outcome is not PairOutcome.AGREED)]
    # A stable sort: disagreements first, otherwise in their order.
    kept.sort(key=lambda finding: finding.outcome is PairOutcome.UNCHECKED)

    def count_of(outcome: PairOutcome) -> int:
        return sum(finding.outcome is outcome for finding in new)

    return before.model_copy(
        update={
            "agreed": before.agreed + count_of(PairOutcome.AGREED),
            "disagreed": before.disagreed + count_of(PairOutcome.DISAGREED),
            "unchecked": before.unchecked + count_of(PairOutcome.UNCHECKED),
            "status_agreed": before.status_agreed + sum(bool(finding.status_agrees) for finding in new),
            "body_agreed": before.body_agreed + sum(bool(finding.body_agrees) for finding in new),
            "verdict_agreed": before.verdict_agreed + sum(bool(finding.verdict_agrees) for finding in new),
            "findings": kept[:SHOWN],
        }
    )


def in_words(found: PairFidelity) -> str:
    """Describe in one sentence how many pairs agree, and in what."""
    if not found.chosen:
        why = "none was chosen" if found.measured else "no pair was measured"
        return f"pairs with two real faults: none, because {why}"
    pairs = (
        f"{found.chosen} of {found.measured} measured pairs"
        if found.chosen < found.measured
        else f"{found.chosen} pairs"
    )
    if not found.asked_for:
        pairs += " whose results were in doubt"
    if not found.compared:
        return f"pairs with two real faults: none of {pairs} could be compared with the rules' answers"
    parts = {"status": found.status_agreed, "body": found.body_agreed, "verdict": found.verdict_agreed}
    counts = ", ".join(f"{name} {number}" for name, number in parts.items())
    left = found.chosen - found.compared
    unchecked = f"; {left} not compared" if left else ""
    agreement = f"{found.agreed} of {found.compared} agree with the rules ({counts})"
    return f"pairs with two real faults: {agreement}, of {pairs}{unchecked}"
