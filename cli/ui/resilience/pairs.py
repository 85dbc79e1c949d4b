"""Pairs with two real faults: the option for them, and their result."""

from __future__ import annotations

from collections.abc import Iterator

import click

from domain.cases.cases import pair_count
from domain.pairs.comparing import how_many, in_words
from domain.pairs.fidelity import PairFidelity, PairFinding
from domain.plans.durations import pair_fault_hold, pair_requests
from domain.plans.plan import Plan
from domain.units import format_duration, parse_percent


class PairShare(click.ParamType[float]):
    """A share of the pairs: more than 0%, at most 100%."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse `25%` into 25."""
        try:
            share = parse_percent(value)
        except ValueError as error:
            self.fail(f"{error}; the plan goes before --verify-pairs, or write --verify-pairs=100%", param, ctx)
        if not 0 < share <= 100:
            self.fail(f"{value} is not a share of the pairs: more than 0%, at most 100%", param, ctx)
        return share


def pairs_promise(plan: Plan, share: float) -> str:
    """Describe what verifying pairs adds to a run, as known beforehand."""
    pairs = pair_count(len(plan.services))
    return (
        f"Then, for up to {how_many(pairs, share)} of {pairs} pairs, it really breaks both services at once, each "
        f"for at most {format_duration(pair_fault_hold(plan))}, and sends {pair_requests(plan)} requests."
    )


def fidelity_lines(found: PairFidelity) -> Iterator[str]:
    """Yield how many pairs agree, and what differs in the others."""
    yield in_words(found)
    for finding in found.findings:
        yield f"  {_finding_line(finding)}"
    more = found.disagreed + found.unchecked - len(found.findings)
    if more > 0:
        yield f"  ... and {more} more: the store has every pair"


def _finding_line(finding: PairFinding) -> str:
    return f"{finding.case_id:<48} {finding.outcome}: {'; '.join(finding.differs) or finding.reason}"
