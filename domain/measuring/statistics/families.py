"""Which of many p-values count, so that a run of many cases does not find something by chance alone.

Holm keeps the chance of any false alarm in the run at or under alpha, whatever the cases share (they share their
control). Over more cases than that is useful for, Benjamini-Hochberg keeps the expected share of false ones among the
alarms under q; that holds for cases that are positively dependent, as those that share a control are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

HOLM_UP_TO = 100
"""Cases. Above, a false alarm somewhere in the run is less bad than missing most of the true ones."""


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Holm's step-down: the smallest p-value against alpha/m, the next against alpha/(m-1), until one is above."""
    found = [False] * len(p_values)
    for done, index in enumerate(_ascending(p_values)):
        if p_values[index] > alpha / (len(p_values) - done):
            break
        found[index] = True
    return found


def benjamini_hochberg(p_values: Sequence[float], q: float) -> list[bool]:
    """Benjamini and Hochberg's step-up: everything up to the largest i-th smallest p-value that is at most q i/m."""
    order = _ascending(p_values)
    under = [i for i, index in enumerate(order, 1) if p_values[index] <= q * i / len(p_values)]
    accepted = set(order[: under[-1]]) if under else set()
    return [index in accepted for index in range(len(p_values))]


def confirmed(p_values: Sequence[float], level: float) -> list[bool]:
    """Which cases of one run stay regressions when all of them are considered: Holm, or for many cases the other."""
    rule: Callable[[Sequence[float], float], list[bool]] = holm if len(p_values) <= HOLM_UP_TO else benjamini_hochberg
    return rule(p_values, level)


def _ascending(p_values: Sequence[float]) -> list[int]:
    return sorted(range(len(p_values)), key=p_values.__getitem__)
