"""Measurement of one group of cases, round by round.

Each round sends one block of every arm, in random order, until every arm has enough requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from activities.load.arms import ArmRun
from activities.toolbox import Subject, Toolbox
from clients.load.pace import Closed, Open, Pace
from clients.load.probe import PreparedProbe
from clients.load.sending import was_cut
from clients.load.warming import WarmUp
from clients.secrets.values import Redactor
from clients.store.read_models import CaseResult, StoredSamples
from domain.cases.thresholds import PlanThresholds
from domain.cases.tokens import baggage_of
from domain.measuring.blocks import arrival_seed, blocks_of, has_control, seed_of, shuffled
from domain.measuring.lateness import lateness_reason
from domain.measuring.load import Case, CaseOutcome
from domain.measuring.percentiles import control_of, measured
from domain.traffic.exchange import Measurement

_NS_PER_US = 1_000


@dataclass(frozen=True)
class Measured:
    """The results of a group, stored together or not at all."""

    results: list[CaseResult]
    samples: list[StoredSamples]
    warm_up: WarmUp | None
    """None if the plan has no warm-up."""


class GroupRun:
    """A group of cases, with a control if the plan compares.

    Nothing is stored before the whole group is measured. If the worker dies, the whole group is measured again. The
    order is then the same, because it follows from the seed.
    """

    def __init__(self, tools: Toolbox, subject: Subject, group: Sequence[Case], tokens: dict[str, str]) -> None:
        """Prepare the probes.

        Raises:
            HoldfastError: SECRET_MISSING when a reference has no value.
        """
        self._tools = tools
        self._plan = subject.plan
        self._seed = seed_of(subject.execution.execution_id, group[0].index)
        # Position 0 belongs to the control even where there is none, so that the cases' arrivals do not depend on it.
        control = ArmRun(position=0, probe=self._probe(None, tokens))
        self._control = control if has_control(subject.plan, group) else None
        meets = PlanThresholds(subject.plan)
        self._cases = [
            ArmRun(position=position, probe=self._probe(case, tokens), case=case, meets=meets.of(case))
            for position, case in enumerate(group, 1)
        ]

    def _probe(self, case: Case | None, tokens: dict[str, str]) -> PreparedProbe:
        # A case without its header would measure the healthy system, so `baggage_of` raises if a token is missing.
        baggage = baggage_of(case.services, tokens) if case and case.services else None
        return self._tools.probe(self._plan).prepare(baggage, case.case_id if case else "control")

    async def measure(self, redactor: Redactor) -> Measured:
        """Warm up, send all blocks, and return the results.

        Raises:
            HoldfastError: as `LoadGenerator.block`.
        """
        warm_up = await self._warm_up()
        began_ns = time.perf_counter_ns()
        for round_, size in enumerate(blocks_of(self._plan)):
            arms = [arm for arm in self._arms() if arm.needs_more]
            if all(arm.case is None for arm in arms):
                break
            for arm in shuffled(arms, self._seed, round_):
                await self._block(arm, round_, size, began_ns)
            if self._plan.load.max_requests is not None:
                await asyncio.to_thread(self._look)
        # In a thread: sorting and resampling a million samples takes seconds, and heartbeats must go on.
        return await asyncio.to_thread(self._measured, redactor, warm_up)

    def _arms(self) -> list[ArmRun]:
        return [*([self._control] if self._control else []), *self._cases]

    async def _warm_up(self) -> WarmUp | None:
        if not self._plan.warm_up:
            return None
        arm = self._control or self._cases[0]
        return await arm.probe.warm_up(self._pace(arm, -1), self._plan.warm_up)

    async def _block(self, arm: ArmRun, round_: int, size: int, began_ns: int) -> None:
        started_ns = time.perf_counter_ns()
        block = await arm.probe.block(self._pace(arm, round_), size, last=arm.last, began_ns=began_ns)
        arm.add(block, time.perf_counter_ns() - started_ns)

    def _pace(self, arm: ArmRun, round_: int) -> Pace:
        load = self._plan.load
        if load.rate is None:
            return Closed(load.concurrency)
        return Open(load.rate, load.arrivals, arrival_seed(self._seed, round_, arm.position))

    def _look(self) -> None:
        """Find the cases that need no more requests: decided or certain failures."""
        from activities.load.comparing import look_at  # noqa: PLC0415 - numpy takes half a second, and few plans need it

        most = self._plan.load.most_requests
        for arm in self._cases:
            allowed = arm.meets.limits.error_rate if arm.meets else None
            arm.hopeless = allowed is not None and 100 * arm.taken.failures > allowed * most
        if self._control:
            look_at(self._plan, self._cases, self._control)

    def _measured(self, redactor: Redactor, warm_up: WarmUp | None) -> Measured:
        first = next(arm.case.index for arm in self._cases if arm.case)
        return Measured(
            results=[self._result(arm, redactor) for arm in self._cases],
            samples=[arm.stored(first) for arm in self._arms()],
            warm_up=warm_up,
        )

    def _result(self, arm: ArmRun, redactor: Redactor) -> CaseResult:
        if arm.case is None:
            raise ValueError("the control has no result of its own")
        found = self._measurement(arm, redactor)
        reason = lateness_reason(found.late_starts, found.requests)
        if self._control and not reason:
            control_reason = lateness_reason(self._control.taken.late, self._control.taken.requests)
            reason = f"of the baseline beside it, {control_reason}" if control_reason else ""
        return CaseResult(
            case_index=arm.case.index,
            case_id=arm.case.case_id,
            case_type=arm.case.case_type,
            outcome=CaseOutcome.INVALID if reason else CaseOutcome.MEASURED,
            reason=reason,
            measurement=found,
            request_url=redactor.url(self._plan.request.url),
            request_method=str(self._plan.request.method),
        )

    def _measurement(self, arm: ArmRun, redactor: Redactor) -> Measurement:
        found = measured(
            arm.taken,
            duration_us=arm.busy_ns // _NS_PER_US,
            last_status=arm.last.status,
            last_body=redactor.body(arm.last.text, cut=was_cut(arm.last.body)),
        )
        extras: dict[str, object] = {"planned": self._plan.load.most_requests, "seed": self._seed}
        if self._control is None:
            return found.model_copy(update=extras)
        extras |= {"control": control_of(self._control.taken)}
        if arm.meets and arm.meets.regression:
            from activities.load.comparing import compared  # noqa: PLC0415 - as above

            extras |= {"comparison": compared(arm, self._control, arm.meets.regression, self._seed)}
        return found.model_copy(update=extras)
