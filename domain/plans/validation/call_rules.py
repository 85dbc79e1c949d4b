"""Rules for `calls`, the services that each service calls.

The names must exist. If several faults may be active at once, every service needs `calls`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domain.errors import Problem
from domain.plans.validation.wording import Nearest, did_you_mean, shown

Raw = dict[Any, Any]


def call_rules(services: list[Any], addresses: Raw, at_once: object) -> Iterator[Problem]:
    """Report what is wrong with `calls`.

    `addresses` is `system.services`, and `at_once` is `safety.max_active_faults` as written.
    """
    names = [entry["name"] for entry in services if isinstance(entry, dict) and isinstance(entry.get("name"), str)]
    nearest = Nearest(names)
    known = set(names)
    needed = isinstance(at_once, int) and at_once > 1
    for position, service in enumerate(services):
        if not isinstance(service, dict):
            continue
        path = f"services[{position}]"
        calls = service.get("calls")
        if needed and calls is None:
            # There is no other source: a recording at a service does not show its caller.
            yield Problem(
                path=path,
                message=f"has no calls, which safety.max_active_faults: {shown(at_once)} needs",
                hint="add calls: [...] with the plan's services that it calls, or calls: [] if there are none",
            )
        for place, name, earlier in _named(calls):
            here = f"{path}.calls[{place}]"
            if earlier is not None:
                yield Problem(path=here, message=f"{shown(name)} is already named", hint=f"see {path}.calls[{earlier}]")
            elif name == service.get("name"):
                yield Problem(
                    path=here, message=f"{shown(name)} calls itself, which means nothing here", hint="leave it out"
                )
            elif name not in known:
                message = f"{shown(name)} is not among the services under test"
                yield Problem(path=here, message=message, hint=_unknown_hint(name, nearest, addresses))


def _named(calls: object) -> Iterator[tuple[int, str, int | None]]:
    """Yield each name's place, the name, and where it came first."""
    first: dict[str, int] = {}
    for place, name in enumerate(calls if isinstance(calls, list) else []):
        if isinstance(name, str):
            yield place, name, first.get(name)
            first.setdefault(name, place)


def _unknown_hint(name: str, nearest: Nearest, addresses: Raw) -> str:
    found = nearest.of(name) if name not in addresses else None
    if found is not None:
        return did_you_mean(found)
    return "leave it out, and name the services under test that are reached through it"
