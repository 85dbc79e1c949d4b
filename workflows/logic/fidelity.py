"""Does a pair that was made of rules stand for the pair with two real faults? Which are asked, and what is compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any, NamedTuple

from workflows.contracts.calls import RealAnswer
from workflows.contracts.exchange import Measurement
from workflows.contracts.execution import Verdict
from workflows.contracts.fidelity import PairFidelity, PairFinding, PairOutcome
from workflows.logic.volatile import masked

MOST_PAIRS = 10_000
"""Pairs that one run verifies: with more, the history of the run would grow beyond its bound."""

PAGES = 50
"""Pages into which few pairs are cut: enough for a person to see them move."""

MOST_PER_PAGE = 80
"""Keeps the history of a page under 10,000 events: a pair costs about 70."""

_IN_DOUBT = ", because their results are in doubt"
_CHOICE = re.compile(rf"[0-9]{{1,9}} of ([0-9]{{1,9}}) measured pairs run with two real faults{_IN_DOUBT}")

SHOWN = 50
"""Findings that travel with the run's result."""

_PLACES = 5
"""Places of a body that are named."""


class Answer(NamedTuple):
    """What came back, redacted."""

    status: int | None
    """None when there was no HTTP answer."""
    body: str
    error: str = ""
    """Why there was none."""


class Side(NamedTuple):
    """One of the two pairs that are compared."""

    answers: list[Answer]
    """With rules the last one, which is what the store keeps; with faults all of them."""
    verdict: Verdict
    reason: str


def last_answer(measurement: Measurement) -> Answer:
    """The answer that the load test keeps of a case."""
    kinds = ", ".join(measurement.errors_by_kind)
    return Answer(measurement.response_code, measurement.response_body, kinds)


def how_many(pairs: int, share: float) -> int:
    """So many percent of some pairs, at least one of them."""
    # Rounded before the ceiling: 7 % of 100 is 7.000000000000001 in binary.
    return min(pairs, max(1, ceil(round(pairs * share / 100, 9))))


def chosen(measured: Sequence[int], share: float) -> list[int]:
    """So many percent of these case indices, at least one, spread evenly: the same ones for the same run."""
    if not measured:
        return []
    wanted = how_many(len(measured), share)
    return [measured[number * len(measured) // wanted] for number in range(wanted)]


def choice_in_words(pairs: int, measured: int, *, asked_for: bool) -> str:
    """What the log of a run has of the pairs that run with two real faults."""
    why = "" if asked_for else _IN_DOUBT
    return f"{pairs} of {measured} measured pairs run with two real faults{why}"


def measured_in_doubt(line: str) -> int | None:
    """How many pairs were measured, by a line of the log that has pairs in doubt chosen; None for any other line."""
    found = _CHOICE.fullmatch(line)
    return int(found[1]) if found else None


def per_page(pairs: int) -> int:
    """How many pairs one window verifies."""
    return min(MOST_PER_PAGE, max(1, ceil(pairs / PAGES)))


def compared(case_id: str, rules: Side, faults: Side) -> PairFinding:
    """Whether status, body and verdict agree, and what differs.

    One answer with rules agrees with several with faults when it is among them: a system may have more than one answer
    to the same failures.
    """
    (with_rules,) = rules.answers
    same_status = [one for one in faults.answers if one.status == with_rules.status]
    places = _differing(with_rules.body, [one.body for one in same_status or faults.answers])
    verdict_agrees = rules.verdict is faults.verdict
    differs = []
    if not same_status:
        seen = sorted({_status(one) for one in faults.answers})
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
    """What differs, in status and body alone, between the answer by rules and those of really broken services."""
    if not real:
        return []
    faults = [Answer(one.status, one.body, one.error) for one in real]
    verdict = Verdict.INCONCLUSIVE
    return compared("", Side([last_answer(rules)], verdict, ""), Side(faults, verdict, "")).differs


def in_status_or_body(finding: PairFinding) -> list[str]:
    """What of a pair's differences is in status or body, and not in its verdict."""
    return [one for one in finding.differs if not one.startswith("verdict ")]


def _status(answer: Answer) -> str:
    return str(answer.status) if answer.status is not None else f"no answer ({answer.error})"


def _verdict(side: Side) -> str:
    return f"{side.verdict} ({side.reason})" if side.reason else str(side.verdict)


def _differing(with_rules: str, with_faults: Sequence[str]) -> list[str]:
    """Places at which a body is none of those seen with faults; those of the nearest of them."""
    seen = [_leaves(body) for body in with_faults]
    vague = _varying_numbers(seen)
    mine = _leaves(with_rules)
    found = [
        sorted(
            place for place in mine.keys() | other.keys() if place not in vague and mine.get(place) != other.get(place)
        )
        for other in seen
    ]
    return min(found, key=len)


def _varying_numbers(answers: Sequence[dict[str, Any]]) -> set[str]:
    """Places at which answers to the same failures have different numbers: durations, counters."""
    places = set().union(*(one.keys() for one in answers))
    return {
        place
        for place in places
        if len({repr(one.get(place)) for one in answers}) > 1
        and all(isinstance(one[place], (int, float)) for one in answers if place in one)
        and all(place in one for one in answers)
    }


def _leaves(body: str) -> dict[str, Any]:
    """A JSON body's values by place, other bodies as one text; what is volatile by its shape is replaced."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {"text": masked(body)}
    found: dict[str, Any] = {}
    ahead: list[tuple[str, Any]] = [("$", parsed)]
    while ahead:
        place, value = ahead.pop()
        inside: Iterable[tuple[str, Any]] = ()
        if isinstance(value, dict):
            inside = ((f"{place}.{masked(name)}", one) for name, one in value.items())
        elif isinstance(value, list):
            inside = ((f"{place}[{number}]", one) for number, one in enumerate(value))
        if value and isinstance(value, (dict, list)):
            ahead += inside
        else:
            found[place] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return str, masked(value)
    if isinstance(value, int) and not isinstance(value, bool) and masked(str(value)) == "<epoch>":
        return "<epoch>"
    # With its kind: Python takes true for 1, and text may read like anything.
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else (type(value), str(value))


def counted(before: PairFidelity, findings: Iterable[PairFinding]) -> PairFidelity:
    """The fidelity so far and some findings more."""
    new = list(findings)
    kept = [*before.findings, *(one for one in new if one.outcome is not PairOutcome.AGREED)]
    kept.sort(key=lambda one: one.outcome is PairOutcome.UNCHECKED)

    def some(outcome: PairOutcome) -> int:
        return sum(one.outcome is outcome for one in new)

    return before.model_copy(
        update={
            "agreed": before.agreed + some(PairOutcome.AGREED),
            "disagreed": before.disagreed + some(PairOutcome.DISAGREED),
            "unchecked": before.unchecked + some(PairOutcome.UNCHECKED),
            "status_agreed": before.status_agreed + sum(bool(one.status_agrees) for one in new),
            "body_agreed": before.body_agreed + sum(bool(one.body_agrees) for one in new),
            "verdict_agreed": before.verdict_agreed + sum(bool(one.verdict_agrees) for one in new),
            "findings": kept[:SHOWN],
        }
    )


def in_words(found: PairFidelity) -> str:
    """One sentence: how many pairs agree, and in what."""
    if not found.chosen:
        why = "none was chosen" if found.measured else "no pair was measured"
        return f"pairs with two real faults: none, because {why}"
    of = (
        f"{found.chosen} of {found.measured} measured pairs"
        if found.chosen < found.measured
        else f"{found.chosen} pairs"
    )
    if not found.asked_for:
        of += " whose results were in doubt"
    if not found.compared:
        return f"pairs with two real faults: none of {of} could be compared with the rules' answers"
    parts = {"status": found.status_agreed, "body": found.body_agreed, "verdict": found.verdict_agreed}
    each = ", ".join(f"{name} {number}" for name, number in parts.items())
    left = found.chosen - found.compared
    unchecked = f"; {left} not compared" if left else ""
    agree = f"{found.agreed} of {found.compared} agree with the rules ({each})"
    return f"pairs with two real faults: {agree}, of {of}{unchecked}"
