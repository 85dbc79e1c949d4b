"""Merged histograms hold what was recorded, whichever process recorded it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients.load.histograms import LONGEST_US, Histogram
from domain.measuring.percentiles import nearest_rank

LATENCIES = st.lists(st.integers(1, 60_000_000), max_size=60)


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(LATENCIES, min_size=1, max_size=4), percentile=st.sampled_from([0.5, 0.95, 0.99, 1.0]))
def test_merging_equals_recording_everything_in_a_single_histogram(parts: list[list[int]], percentile: float) -> None:
    """Percentiles of the merged histogram are those of all raw values, within a thousandth.

    Storing the parts changes nothing.
    """
    merged, stored = Histogram(), Histogram()
    for part in parts:
        merged.merge(Histogram(part))
        stored.merge(Histogram.decode(Histogram(part).encode()))
    together = sorted(value for part in parts for value in part)
    for histogram in (merged, stored, Histogram(together)):
        assert histogram.count == len(together)
        assert histogram.percentile_us(percentile) == pytest.approx(nearest_rank(together, percentile), rel=0.001)


def test_many_values_take_little_space() -> None:
    """A hundred thousand values take a few kilobytes, and their tail is as exact as their middle."""
    dice = random.Random(3)  # noqa: S311
    raw = [round(dice.lognormvariate(9, 1)) for _ in range(100_000)]
    histogram = Histogram(raw)
    assert len(histogram.encode()) < 20_000
    for percentile in (0.5, 0.95, 0.99, 0.999):
        exact = nearest_rank(sorted(raw), percentile)
        assert histogram.percentile_us(percentile) == pytest.approx(exact, rel=0.001)


def test_values_beyond_the_range_are_counted_at_its_end() -> None:
    """No value may be lost: a count without the slowest values would give percentiles without them."""
    histogram = Histogram([0, -5, LONGEST_US * 2])
    assert histogram.count == 3
    assert histogram.percentile_us(0.5) == 1
    assert histogram.percentile_us(1.0) == pytest.approx(LONGEST_US, rel=0.001)
    assert Histogram().percentile_us(0.99) == 0


@pytest.mark.parametrize("stored", [b"", b"nonsense", b"HISTFAAAAEp4nJNpmSzMwMC+", b"\x00\xff" * 50])
def test_bytes_that_are_no_histogram_are_refused(stored: bytes) -> None:
    """With the only error that readers expect."""
    with pytest.raises(ValueError, match="not an HDR histogram"):
        Histogram.decode(stored)
