"""Which cases a plan has. Addressed by index: the list is never held, the pair of index k is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isqrt

from workflows.contracts.load import Case, CaseRange, CaseType

BATCH_SIZE = 18
"""Cases per batch, the original orchestrator's constant (`stages` section 5)."""

MOST_PAGES = 50
"""Pages a load test is cut into when it is small: enough for a person to see it move."""

MOST_BATCHES_PER_PAGE = 1_000
"""Keeps the history of one page under 10,000 events: a batch costs about six."""

LEAST_ROUNDS = 3
"""How often all lanes of a page are filled, where several batches are measured at once."""

BASELINE_ID = "baseline"


def case_count(services: int) -> int:
    """All cases of n services: 1 + n + n(n-1)/2."""
    return 1 + services + pair_count(services)


def pair_count(services: int) -> int:
    """All pairs of n services."""
    return services * (services - 1) // 2


def case_id(services: Sequence[str]) -> str:
    """`baseline`, or the sorted names of the failing services joined with `+`."""
    return "+".join(sorted(services)) if services else BASELINE_ID


def pair_at(services: int, k: int) -> tuple[int, int]:
    """The k-th pair (i, j), i < j, of n services in lexicographic order: (0,1), (0,2) ... (n-2,n-1).

    Pairs whose first is i or later fill the end of the order, r(r+1)/2 of them with r = n-1-i, so i follows from the
    triangular root of the pairs that are left.

    Raises:
        IndexError: when k is not the index of a pair.
    """
    pairs = pair_count(services)
    if not 0 <= k < pairs:
        raise IndexError(f"pair {k} of {pairs}")
    left = pairs - 1 - k
    row = (isqrt(8 * left + 1) - 1) // 2
    first = services - 2 - row
    return first, services - 1 - (left - row * (row + 1) // 2)


def pair_case(services: int, one: int, other: int) -> int:
    """The case index of the pair of two of n services, given by their places in the sorted names.

    Raises:
        IndexError: when there is no such pair.
    """
    first, second = sorted((one, other))
    if not 0 <= first < second < services:
        raise IndexError(f"pair of {one} and {other} of {services} services")
    before = first * (2 * services - first - 1) // 2
    return 1 + services + before + second - first - 1


def places_of(services: int, index: int) -> tuple[int, ...]:
    """The places, in the sorted names, of the failing services of a case of n services.

    Raises:
        IndexError: when there is no such case.
    """
    if index <= services:
        return (index - 1,) if index else ()
    return pair_at(services, index - 1 - services)


def case_at(services: Sequence[str], index: int) -> Case:
    """The case of an index: baseline first, then singles, then pairs, over the sorted service names.

    Raises:
        IndexError: when there is no such case.
    """
    n = len(services)
    if index == 0:
        return Case(index=0, case_id=BASELINE_ID, case_type=CaseType.BASELINE)
    if index < 0:
        raise IndexError(f"case {index}")
    if index <= n:
        chosen = [services[index - 1]]
        return Case(index=index, case_id=case_id(chosen), case_type=CaseType.SINGLE, services=chosen)
    i, j = pair_at(n, index - 1 - n)
    chosen = [services[i], services[j]]
    return Case(index=index, case_id=case_id(chosen), case_type=CaseType.DUAL, services=chosen)


def cases_in(services: Sequence[str], cases: CaseRange) -> Iterator[Case]:
    """The cases of a range, one after the other."""
    return (case_at(services, index) for index in range(cases.first, cases.end))


def batches_in(cases: CaseRange, batch_size: int) -> list[CaseRange]:
    """A range cut into batches; the last one may be shorter."""
    return [
        CaseRange(first=first, end=min(first + batch_size, cases.end))
        for first in range(cases.first, cases.end, batch_size)
    ]


def pages_of(case_total: int, batch_size: int, at_once: int = 1) -> list[CaseRange]:
    """All cases cut into pages of whole batches: about fifty of them, more only for very many cases.

    A page ends when its last batch does. So where several batches are measured `at_once`, a page has several rounds of
    them: what some are waiting for is little beside the whole.
    """
    batches = -(-case_total // batch_size)
    per_page = max(1, -(-batches // MOST_PAGES))
    if at_once > 1:
        per_page = at_once * max(LEAST_ROUNDS, -(-per_page // at_once))
    return batches_in(CaseRange(first=0, end=case_total), min(MOST_BATCHES_PER_PAGE, per_page) * batch_size)


def rounds_of_batches(case_total: int, batch_size: int, at_once: int) -> int:
    """In how many rounds all batches are measured at most, each round as long as its longest batch.

    The first batch is alone; pages follow one another.
    """
    pages = [len(batches_in(page, batch_size)) for page in pages_of(case_total, batch_size, at_once)]
    return sum(-(-(batches - (page == 0)) // at_once) for page, batches in enumerate(pages)) + 1
