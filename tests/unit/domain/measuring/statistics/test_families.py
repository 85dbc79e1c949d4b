"""Which alarms of a run count: against examples worked out by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from domain.measuring.statistics.families import HOLM_UP_TO, benjamini_hochberg, confirmed, holm

P_VALUES = st.lists(st.floats(0, 1), max_size=30)


def test_holm_steps_down_until_one_is_too_large() -> None:
    """At 5 % of four: 0.01 against 0.0125, 0.016 against 0.0167, 0.03 against 0.025; the last would pass alone."""
    assert holm([0.03, 0.01, 0.04, 0.016], 0.05) == [False, True, False, True]
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]


def test_holm_goes_further_than_bonferroni() -> None:
    """0.02 is above 0.05 / 3, and below 0.05 / 2 once the smallest is out."""
    assert holm([0.001, 0.02, 0.9], 0.05) == [True, True, False]


def test_benjamini_hochberg_on_their_own_example() -> None:
    """The fifteen p-values of the 1995 paper (section 4.1): at 5 % the four smallest; Holm takes three."""
    published = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
    ]  # fmt: skip
    assert benjamini_hochberg(published, 0.05) == [True] * 4 + [False] * 11
    assert holm(published, 0.05) == [True] * 3 + [False] * 12


def test_benjamini_hochberg_steps_up() -> None:
    """0.03 and 0.04 are above their own places' lines but for the last, which takes everything below it along."""
    assert benjamini_hochberg([0.04, 0.02, 0.03, 0.039], 0.05) == [True] * 4
    assert benjamini_hochberg([0.051, 0.03], 0.05) == [False, False]


@given(P_VALUES, st.floats(0.001, 0.5))
def test_the_rules_contain_each_other(p_values: list[float], level: float) -> None:
    """Bonferroni's are Holm's, Holm's are Benjamini's and Hochberg's, and theirs are those under the level alone."""
    m = len(p_values)
    plain = [p <= level / m for p in p_values]
    step_down, step_up = holm(p_values, level), benjamini_hochberg(p_values, level)
    assert all(b <= h <= u <= (p <= level) for b, h, u, p in zip(plain, step_down, step_up, p_values, strict=True))


@given(P_VALUES, st.randoms())
def test_the_order_of_the_cases_does_not_matter(p_values: list[float], random: object) -> None:
    """Findings belong to p-values, not to places."""
    shuffled = list(p_values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for rule in (holm, benjamini_hochberg):
        mine = dict(zip(p_values, rule(p_values, 0.05), strict=True))
        assert mine == dict(zip(shuffled, rule(shuffled, 0.05), strict=True))


def test_many_cases_are_judged_by_the_rule_for_many() -> None:
    """Up to 100 by Holm, above by the share of false alarms."""
    assert HOLM_UP_TO == 100
    few = [0.0004] * 3 + [0.04] * (HOLM_UP_TO - 3)
    assert confirmed(few, 0.05) == holm(few, 0.05) == [True] * 3 + [False] * (HOLM_UP_TO - 3)
    many = [*few, 0.04]
    assert confirmed(many, 0.05) == benjamini_hochberg(many, 0.05) == [True] * len(many)
    assert confirmed([], 0.05) == []


def test_holm_keeps_the_level_over_the_family() -> None:
    """Of 4,000 runs of 50 cases without effect about one in twenty has a false alarm, not more."""
    p_values = np.random.default_rng(7).random((4_000, 50))
    alarms = np.mean([any(holm(row, 0.05)) for row in p_values.tolist()])
    assert 0.035 < alarms < 0.06
