"""Evidence on cases measured with rules, from discovery and real faults.

It is read from the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from clients.store.decoding import Rows
from clients.store.read_models import CaseResult, CheckedPair
from clients.store.store import Store
from domain.calls.discovery import CallKey
from domain.calls.doubts import Doubts, disagreeing, doubts
from domain.calls.model import CallRound, RealCase
from domain.measuring.load import CaseOutcome
from domain.pairs.comparing import differences, in_status_or_body
from domain.pairs.fidelity import PairOutcome
from domain.plans.plan import Plan
from domain.traffic.exchange import CapturedAnswer, Measurement

_DAMAGED = CallRound(round=1, complete=False, detail="stored rows of it are damaged")

Measured = Mapping[int, Measurement]
"""Measurements with rules, by case index."""


class RealMeasurement(NamedTuple):
    """Measurement of a case while its services were really broken."""

    differs: Sequence[str]
    """Where its answers differ in status or body from the rules' answer."""
    measurement: Measurement


@dataclass(frozen=True)
class Evidence:
    """What is known about a run's cases apart from their rules."""

    doubts: Doubts
    real: Mapping[int, list[RealMeasurement]]
    """Measurements with real faults, by case index.

    A case has more than one if it was measured again.
    """
    substituted: frozenset[str]
    """Services with a captured failure whose status is a substitute."""


def measured_of(results: Iterable[CaseResult]) -> dict[int, Measurement]:
    """Return the valid measurements of a run, by case index."""
    return {
        result.case_index: result.measurement
        for result in results
        if result.outcome is CaseOutcome.MEASURED and result.measurement is not None
    }


async def evidence_of(
    store: Store, execution_id: int, plan: Plan, measured: Measured, checked: Rows[CheckedPair] | None = None
) -> Evidence | None:
    """Read the evidence; None for a run without discovery.

    Older runs have none. `checked` are the pairs measured with two real faults since then.
    """
    rounds, calls = await store.calls.rounds(execution_id), await store.calls.all(execution_id)
    if not rounds and not rounds.damaged and not calls.damaged:
        return None
    cases = await store.calls.real_cases(execution_id)
    # An unreadable row may be the very call that no rule answers, or the one case that really failed.
    damaged = any(rows.damaged for rows in (rounds, calls, cases, Rows() if checked is None else checked))
    known = [*rounds, *([_DAMAGED] if damaged else [])]
    # Without the baseline (index 0): nothing is broken in it, neither by rules nor really.
    asked = [case for case in cases if case.answers and case.case_index]
    captured = await store.traffic.captured(execution_id)
    # In a thread, so that heartbeats go on: a thousand services may have many cases.
    real = await asyncio.to_thread(_real_measurements, measured, asked, checked or ())
    found = doubts(
        plan.service_names,
        calls,
        {_key(answer) for answer in captured},
        known,
        real=real.keys() | {case.case_index for case in asked},
        disagreeing=await asyncio.to_thread(disagreeing, measured, asked),
    )
    substituted = frozenset(answer.service for answer in captured if answer.substituted)
    return Evidence(doubts=found, real=real, substituted=substituted)


def _real_measurements(
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
            # Only the measurement is used. The verdict is judged again.
            real = RealMeasurement(in_status_or_body(pair.finding), pair.measurement)
            found.setdefault(pair.case_index, []).append(real)
    return found


def _key(answer: CapturedAnswer) -> CallKey:
    return CallKey(answer.service, answer.method, answer.path)
