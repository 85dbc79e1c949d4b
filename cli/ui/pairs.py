"""Pairs with two real faults, on the command line: how they are asked for, and how they are told."""

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
    """A share of the pairs, more than none of them and at most all."""

    name = "share"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `25%`."""
        try:
            share = parse_percent(value)
        except ValueError as error:
            self.fail(f"{error}; the plan goes before --verify-pairs, or write --verify-pairs=100%", param, ctx)
        if not 0 < share <= 100:
            self.fail(f"{value} is not a share of the pairs: more than 0%, at most 100%", param, ctx)
        return share


def pairs_promise(plan: Plan, share: float) -> str:
    """What verifying pairs adds to a run, as far as it is known before."""
    pairs = pair_count(len(plan.services))
    return (
        f"Then, for up to {how_many(pairs, share)} of {pairs} pairs, it really breaks both services at once, each "
        f"for at most {format_duration(pair_fault_hold(plan))}, and sends {pair_requests(plan)} requests."
    )


def fidelity_lines(found: PairFidelity) -> Iterator[str]:
    """How many pairs agree, and what is different in the others."""
    yield in_words(found)
    for one in found.findings:
        yield f"  {_told(one)}"
    more = found.disagreed + found.unchecked - len(found.findings)
    if more > 0:
        yield f"  ... and {more} more: the store has every pair"


def _told(one: PairFinding) -> str:
    return f"{one.case_id:<48} {one.outcome}: {'; '.join(one.differs) or one.reason}"
