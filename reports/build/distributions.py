"""Latency distributions over bounds that all cases share.

Shared bounds let one distribution be laid over another.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from clients.load.histograms import Histogram
from clients.store.packing import unpacked
from clients.store.read_models import StoredSamples

STEPS = 20
"""Bounds to each power of ten. Neighbours are 12 % apart, which is finer than an eye can see in a chart."""

_POWERS = 12
"""Powers of ten of a microsecond. The last bound is 11 days, longer than any request may take."""

BOUNDS_US = sorted({round(10 ** (step / STEPS)) for step in range(_POWERS * STEPS + 1)})
"""Upper bounds in microseconds, ascending."""


def distribution(latencies: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Count latencies by upper bound.

    Takes latencies in microseconds, each with its count. A latency belongs to the first bound that is not below it.
    Bounds without any latency are left out.
    """
    counter: Counter[int] = Counter()
    for latency_us, count in latencies:
        counter[BOUNDS_US[min(bisect_left(BOUNDS_US, latency_us), len(BOUNDS_US) - 1)]] += count
    return sorted(counter.items())


def distribution_of(samples: StoredSamples) -> list[tuple[int, int]] | None:
    """Return the distribution of an arm's successful requests.

    None if the samples cannot be read.
    """
    try:
        if samples.raw is not None:
            # Raw samples are read much faster than the histogram, which agrees with them to a thousandth.
            return distribution((latency, 1) for latency, failed in unpacked(samples.raw) if not failed)
        return distribution(Histogram.decode(samples.histogram).value_counts())
    except ValueError:
        return None
