"""Corrections for many comparisons, checked against examples worked out by hand."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from domain.measuring.statistics.families import HOLM_UP_TO, benjamini_hochberg, confirmed, holm

P_VALUES = st.lists(st.floats(0, 1), max_size=30)


def test_holm_steps_down_until_a_p_value_is_too_large() -> None:
    """At 5 % of four: 0.01 against 0.0125, 0.016 against 0.0167, 0.03 against 0.025. The last would pass alone."""
    assert holm([0.03, 0.01, 0.04, 0.016], 0.05) == [False, True, False, True]
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]


def test_holm_goes_further_than_bonferroni() -> None:
    """0.02 is above 0.05 / 3, but below 0.05 / 2 once the smallest is out."""
    assert holm([0.001, 0.02, 0.9], 0.05) == [True, True, False]


def test_benjamini_hochberg_matches_the_example_of_its_paper() -> None:
    """With the fifteen p-values of the 1995 paper (section 4.1) at 5 %, it rejects the four smallest.

    Holm rejects three.
    """
    published = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
    ]  # fmt: skip
    assert benjamini_hochberg(published, 0.05) == [True] * 4 + [False] * 11
    assert holm(published, 0.05) == [True] * 3 + [False] * 12


def test_benjamini_hochberg_steps_up() -> None:
    """The smaller values are above the lines of their ranks. The largest is below its line and takes them along."""
    assert benjamini_hochberg([0.04, 0.02, 0.03, 0.039], 0.05) == [True] * 4
    assert benjamini_hochberg([0.051, 0.03], 0.05) == [False, False]


@given(P_VALUES, st.floats(0.001, 0.5))
@example([0.0, 0.0, 0.40781758213407293], 0.40781758213407293)
def test_each_correction_rejects_all_that_a_stricter_correction_rejects(p_values: list[float], level: float) -> None:
    """From strict to lenient: Bonferroni, Holm, Benjamini-Hochberg, and the level alone."""
    m = len(p_values)
    plain = [p <= level / m for p in p_values]
    step_down, step_up = holm(p_values, level), benjamini_hochberg(p_values, level)
    assert all(b <= h <= u <= (p <= level) for b, h, u, p in zip(plain, step_down, step_up, p_values, strict=True))


@given(P_VALUES, st.randoms())
def test_the_order_of_the_cases_does_not_matter(p_values: list[float], random: object) -> None:
    """Findings belong to p-values, not to positions."""
    shuffled = list(p_values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for rule in (holm, benjamini_hochberg):
        mine = dict(zip(p_values, rule(p_values, 0.05), strict=True))
        assert mine == dict(zip(shuffled, rule(shuffled, 0.05), strict=True))


def test_more_than_100_cases_use_benjamini_hochberg_instead_of_holm() -> None:
    """Above 100 cases, the share of false alarms is controlled."""
    assert HOLM_UP_TO == 100
    few = [0.0004] * 3 + [0.04] * (HOLM_UP_TO - 3)
    assert confirmed(few, 0.05) == holm(few, 0.05) == [True] * 3 + [False] * (HOLM_UP_TO - 3)
    many = [*few, 0.04]
    assert confirmed(many, 0.05) == benjamini_hochberg(many, 0.05) == [True] * len(many)
    assert confirmed([], 0.05) == []


def test_holm_keeps_the_level_over_a_whole_run() -> None:
    """Of 4,000 runs of 50 cases without an effect, about one in twenty has a false alarm, and not more."""
    p_values = np.random.default_rng(7).random((4_000, 50))
    alarms = np.mean([any(holm(row, 0.05)) for row in p_values.tolist()])
    assert 0.035 < alarms < 0.06
