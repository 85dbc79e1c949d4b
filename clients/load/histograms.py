"""Latencies as an HDR histogram: three digits, any number of them in a few kilobytes, mergeable between workers.

The stored form is HdrHistogram's own (V2, compressed, base64), which tools in other languages read.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Self

from hdrh.histogram import HdrHistogram

DIGITS = 3
"""Of each value, whatever its size: what is read differs from what was recorded by at most a thousandth."""
LONGEST_US = 7 * 24 * 3600 * 1_000_000
"""No request of a plan takes longer (`units.LONGEST`); what did is counted as this long."""


class Histogram:
    """Latencies in microseconds."""

    def __init__(self, latencies_us: Iterable[int] = ()) -> None:
        self._counts = HdrHistogram(1, LONGEST_US, DIGITS)
        for latency_us in latencies_us:
            self.record(latency_us)

    def record(self, latency_us: int) -> None:
        """Count one; less than a microsecond is counted as one."""
        self._counts.record_value(min(max(latency_us, 1), LONGEST_US))

    def merge(self, other: Histogram) -> None:
        """Count all of another's too: the same as if they had been recorded here."""
        self._counts.add(other._counts)

    @property
    def count(self) -> int:
        """How many were recorded."""
        return int(self._counts.get_total_count())

    def percentile_us(self, percentile: float) -> int:
        """The nearest-rank percentile (0.95 for p95), within a thousandth; 0 for no values, as the peers have it."""
        if not self.count:
            return 0
        # The library rounds the rank to the nearest; told one that is whole, it has nothing to round.
        rank = max(1, ceil(round(percentile * self.count, 9)))
        return int(self._counts.get_value_at_percentile(100 * rank / self.count))

    def counted(self) -> list[tuple[int, int]]:
        """Each value in microseconds that was recorded, within a thousandth, and how often; ascending."""
        value = self._counts.get_value_from_index
        return [(int(value(index)), int(count)) for index, count in enumerate(self._counts.counts) if count]

    def encode(self) -> bytes:
        """As it is stored."""
        return bytes(self._counts.encode())

    @classmethod
    def decode(cls, stored: bytes) -> Self:
        """As it was encoded.

        Raises:
            ValueError: when this is no histogram.
        """
        found = cls()
        try:
            found._counts.decode_and_add(stored)
        except Exception as error:  # the library has a class for each of its many doubts
            raise ValueError("not an HDR histogram") from error
        return found
