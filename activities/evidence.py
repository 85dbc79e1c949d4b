"""What discovery and real faults say about cases that were measured with rules, read from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clients.store.decoding import Rows
from clients.store.read_models import CaseResult, CheckedPair
from clients.store.store import Store
from workflows.contracts.calls import CallRound, RealCase
from workflows.contracts.exchange import CapturedAnswer, Measurement
from workflows.contracts.fidelity import PairOutcome
from workflows.contracts.load import CaseOutcome
from workflows.contracts.plan import Plan
from workflows.logic.calls import CallKey
from workflows.logic.doubts import Doubts, disagreeing, doubts
from workflows.logic.fidelity import differences, in_status_or_body

_DAMAGED = CallRound(round=1, complete=False, detail="stored rows of it are damaged")

Measured = Mapping[int, Measurement]
"""What was measured with rules, by case index."""


class RealMeasurement(NamedTuple):
    """What a case measured while its services were really broken."""

    differs: Sequence[str]
    """In what its answers differ, in status or body, from the one by rules."""
    measurement: Measurement


@dataclass(frozen=True)
class Evidence:
    """What is known of the cases of a run beside their rules."""

    doubts: Doubts
    real: Mapping[int, list[RealMeasurement]]
    """Of each case that was asked with its services really broken; more than one where it was asked again."""
    substituted: frozenset[str]
    """Services of which a captured failure has a substitute for its status."""


def measured_of(results: Iterable[CaseResult]) -> dict[int, Measurement]:
    """What stands of the measurements of a run."""
    return {
        one.case_index: one.measurement
        for one in results
        if one.outcome is CaseOutcome.MEASURED and one.measurement is not None
    }


async def evidence_of(
    store: Store, execution_id: int, plan: Plan, measured: Measured, checked: Rows[CheckedPair] | None = None
) -> Evidence | None:
    """Read the evidence; None for a run that looked for no calls, as those of before. `checked`: pairs asked since."""
    rounds, calls = await store.call_rounds(execution_id), await store.calls(execution_id)
    if not rounds and not rounds.damaged and not calls.damaged:
        return None
    cases = await store.real_cases(execution_id)
    # A row that cannot be read may be the very call that no rule answers, or the one case that really failed.
    damaged = any(rows.damaged for rows in (rounds, calls, cases, Rows() if checked is None else checked))
    known = [*rounds, *([_DAMAGED] if damaged else [])]
    # Of the baseline nothing is broken, by rules or really.
    asked = [one for one in cases if one.answers and one.case_index]
    captured = await store.captured(execution_id)
    # In a thread: a thousand services may have many, and heartbeats go on meanwhile.
    real = await asyncio.to_thread(_real, measured, asked, checked or ())
    found = doubts(
        plan.service_names,
        calls,
        {_key(answer) for answer in captured},
        known,
        real=real.keys() | {one.case_index for one in asked},
        disagreeing=await asyncio.to_thread(disagreeing, measured, asked),
    )
    substituted = frozenset(answer.service for answer in captured if answer.substituted)
    return Evidence(doubts=found, real=real, substituted=substituted)


def _real(
    measured: Measured, asked: Iterable[RealCase], checked: Iterable[CheckedPair]
) -> dict[int, list[RealMeasurement]]:
    found: dict[int, list[RealMeasurement]] = {}
    for case in asked:
        rules = measured.get(case.case_index)
        if rules is not None:
            real = RealMeasurement(differences(rules, case.answers), case.measurement)
            found.setdefault(case.case_index, []).append(real)
    for pair in checked:
        if pair.finding.outcome is not PairOutcome.UNCHECKED and pair.measurement is not None:
            # Its verdict is judged anew.
            real = RealMeasurement(in_status_or_body(pair.finding), pair.measurement)
            found.setdefault(pair.case_index, []).append(real)
    return found


def _key(answer: CapturedAnswer) -> CallKey:
    return CallKey(answer.service, answer.method, answer.path)
