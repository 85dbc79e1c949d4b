"""Baggage tokens: W3C baggage members that select a service's failure, one per service, one per rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import permutations

from workflows.contracts.plan import Plan
from workflows.logic.faults import fault_type

BAGGAGE_HEADER = "baggage"


def baggage_token(service: str, fault_type: str) -> str:
    """`chaos.<service>.<type>=1`.

    A valid `key=value` member, because propagators drop members without `=`. The proxy matches a single token as a
    substring of the header (`peer-contract` section 3.3), so no token may be part of another: names are DNS labels
    without dots, which makes the dotted form unambiguous, and `=1` ends it.
    """
    return f"chaos.{service}.{fault_type}=1"


def token_of(plan: Plan, service: str) -> str:
    """The token of a service under test. KeyError when the plan has none of this name."""
    return baggage_token(service, fault_type(plan.service(service).fault))


_MARKER = "holdfast.analysis="


def marker(record_id: str) -> str:
    """The member that the analysis request carries, to see which services pass baggage on."""
    return _MARKER + record_id


def is_marker(baggage: str) -> bool:
    """Whether a header selects no failure, but is the analysis request's."""
    return baggage.startswith(_MARKER)


def baggage_of(services: Iterable[str], tokens: Mapping[str, str]) -> str:
    """The header of a case: the tokens of its services in order, joined without spaces.

    Raises:
        KeyError: when a service has no token. A case that is not the baseline must never run without its header.
    """
    return ",".join(tokens[service] for service in services)


def overlapping(tokens: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of which the first is part of the second; empty for a sound set."""
    return [(one, other) for one, other in permutations(tokens, 2) if one in other]
