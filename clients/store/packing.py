"""Raw samples in few bytes: what a later question about a case's latencies would need, in the order they were taken."""

from __future__ import annotations

import sys
import zlib
from array import array
from collections.abc import Sequence

MOST_RAW = 100_000
"""Samples of one arm that are kept one by one. The histogram has all of them."""

_LONGEST_US = 2**31 - 1
_WIDTH = 4


def packed(samples: Sequence[tuple[int, bool]]) -> bytes | None:
    """Latency in microseconds and whether it was an error, of each request; None for more than are kept.

    Little-endian 32-bit latencies, then one byte for each error flag, compressed together. A latency beyond 35 minutes
    is kept as that.
    """
    if len(samples) > MOST_RAW:
        return None
    latencies = array("i", (min(latency_us, _LONGEST_US) for latency_us, _ in samples))
    if sys.byteorder == "big":
        latencies.byteswap()
    return zlib.compress(latencies.tobytes() + bytes(error for _, error in samples))


def unpacked(raw: bytes) -> list[tuple[int, bool]]:
    """What `packed` was given.

    Raises:
        ValueError: when these are no packed samples.
    """
    try:
        plain = zlib.decompress(raw)
    except zlib.error as error:
        raise ValueError("not packed samples") from error
    count, rest = divmod(len(plain), _WIDTH + 1)
    if rest:
        raise ValueError("not packed samples")
    latencies = array("i", plain[: count * _WIDTH])
    if sys.byteorder == "big":
        latencies.byteswap()
    return [(latency, bool(error)) for latency, error in zip(latencies, plain[count * _WIDTH :], strict=True)]
