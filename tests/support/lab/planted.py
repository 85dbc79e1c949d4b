"""The failures planted in the train-ticket topology, written down by hand, and the cases that must fail."""

from collections.abc import Iterable
from itertools import combinations

FATAL = {"ts-order-service"}
"""Services that are fatal alone, and hence in every pair."""

ERROR_PAIRS = {
    ("ts-contacts-service", "ts-user-service"),
    ("ts-ticketinfo-service", "ts-travel-service"),
    ("ts-basic-service", "ts-travel-service"),
    ("ts-station-service", "ts-ticketinfo-service"),
    ("ts-basic-service", "ts-station-service"),
    ("ts-route-service", "ts-station-service"),
}
SLOW_PAIRS = set(combinations(("ts-consign-price-service", "ts-delivery-service", "ts-order-other-service"), 2))
PAIRS = ERROR_PAIRS | SLOW_PAIRS


def failing_cases(services: Iterable[str], fatal: set[str], pairs: set[tuple[str, str]]) -> set[str]:
    """Return the ids of the cases that must fail."""
    dual = {pair for pair in combinations(sorted(services), 2) if pair in pairs or fatal.intersection(pair)}
    return {*fatal, *("+".join(pair) for pair in dual)}
