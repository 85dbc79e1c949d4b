"""Which p-values count in a run that tests many cases.

Otherwise such a run would find something by chance alone. Holm keeps the chance of any false alarm in the run at or
below alpha, whatever the cases share (they share their control). For more cases than Holm suits, Benjamini-Hochberg
keeps the expected share of false alarms among all alarms below q. That holds for positively dependent cases, and cases
that share a control are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

HOLM_UP_TO = 100
"""Cases up to which Holm is used. With more, one false alarm somewhere is less bad than missing most of the true
ones."""


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Apply Holm's step-down procedure.

    The smallest p-value is compared with alpha/m, the next with alpha/(m-1), and so on, until one is above its limit.
    """
    found = [False] * len(p_values)
    for done, index in enumerate(_ascending(p_values)):
        if p_values[index] > alpha / (len(p_values) - done):
            break
        found[index] = True
    return found


def benjamini_hochberg(p_values: Sequence[float], q: float) -> list[bool]:
    """Apply Benjamini and Hochberg's step-up procedure.

    It accepts the i smallest p-values, for the largest i whose i-th smallest p-value is at most q i/m.
    """
    order = _ascending(p_values)
    # Divided in this order, the first and the last line are exactly Holm's. Otherwise rounding could make this rule the
    # stricter one for a p-value on the line.
    passing = [i for i, index in enumerate(order, 1) if p_values[index] <= q / (len(p_values) / i)]
    accepted = set(order[: passing[-1]]) if passing else set()
    return [index in accepted for index in range(len(p_values))]


def confirmed(p_values: Sequence[float], level: float) -> list[bool]:
    """Return which regressions stand when all cases of a run are considered.

    By Holm or, for more than `HOLM_UP_TO` cases, by Benjamini-Hochberg.
    """
    rule: Callable[[Sequence[float], float], list[bool]] = holm if len(p_values) <= HOLM_UP_TO else benjamini_hochberg
    return rule(p_values, level)


def _ascending(p_values: Sequence[float]) -> list[int]:
    return sorted(range(len(p_values)), key=p_values.__getitem__)
