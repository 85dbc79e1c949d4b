"""Latencies as an HDR histogram with three significant digits.

A histogram holds any number of latencies in a few kilobytes, and histograms of several workers can be merged. The
stored form is HdrHistogram's own (V2, compressed, base64), which tools in other languages can read.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Self

from hdrh.histogram import HdrHistogram

DIGITS = 3
"""Significant digits of each value, whatever its size.

A value that is read differs from the recorded one by at most a thousandth.
"""
LONGEST_US = 7 * 24 * 3600 * 1_000_000
"""Longest latency that is recorded; longer ones are cut to it.

No request of a plan takes longer (`units.LONGEST`).
"""


class Histogram:
    """A histogram of latencies in microseconds."""

    def __init__(self, latencies_us: Iterable[int] = ()) -> None:
        self._counts = HdrHistogram(1, LONGEST_US, DIGITS)
        for latency_us in latencies_us:
            self.record(latency_us)

    def record(self, latency_us: int) -> None:
        """Count a latency; less than a microsecond counts as one microsecond."""
        self._counts.record_value(min(max(latency_us, 1), LONGEST_US))

    def merge(self, other: Histogram) -> None:
        """Add another histogram, as if its latencies had been recorded here."""
        self._counts.add(other._counts)

    @property
    def count(self) -> int:
        """Number of recorded latencies."""
        return int(self._counts.get_total_count())

    def percentile_us(self, percentile: float) -> int:
        """Return the nearest-rank percentile (0.95 for p95), within a thousandth.

        Without values it is 0, as at the peers.
        """
        if not self.count:
            return 0
        # The library would round the rank to the nearest: give it a percentile whose rank is whole.
        rank = max(1, ceil(round(percentile * self.count, 9)))
        return int(self._counts.get_value_at_percentile(100 * rank / self.count))

    def value_counts(self) -> list[tuple[int, int]]:
        """Return each recorded value and its count, in ascending order.

        Values are in microseconds, within a thousandth.
        """
        value = self._counts.get_value_from_index
        return [(int(value(index)), int(count)) for index, count in enumerate(self._counts.counts) if count]

    def encode(self) -> bytes:
        """Return the stored form."""
        return bytes(self._counts.encode())

    @classmethod
    def decode(cls, stored: bytes) -> Self:
        """Read the stored form.

        Raises:
            ValueError: when it is not an HDR histogram.
        """
        found = cls()
        try:
            found._counts.decode_and_add(stored)
        except Exception as error:  # the library has a separate exception class for each problem
            raise ValueError("not an HDR histogram") from error
        return found
