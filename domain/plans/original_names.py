"""Names of the original orchestrator (`stages` section 5).

A plan may use them in place of ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from domain.errors import Problem
from domain.plans.validation.wording import kind_of, shown
from domain.units import LONGEST


class Original(NamedTuple):
    """A setting of the original orchestrator, as it is named here."""

    section: str
    name: str
    seconds: bool
    """Whether the value is a whole number of seconds, without unit. If not, it is taken as it is."""


ORIGINALS: dict[str, Original] = {
    "waitAnalyzeTimeoutSec": Original("timeouts", "analyze", seconds=True),
    "waitInterceptorReadySec": Original("timeouts", "rules_ready", seconds=True),
    "ttlSecForInterceptors": Original("timeouts", "rules_ttl", seconds=True),
    "requestNum": Original("load", "requests", seconds=False),
}
"""The original names. A plan gives each one in the section of our own name."""

_MOST_SECONDS = int(LONGEST.total_seconds())


def in_our_words(document: dict[Any, Any]) -> tuple[dict[Any, Any], list[Problem]]:
    """Return the document with our names, and problems with the original names.

    The given document is not changed.
    """
    found, problems = dict(document), []
    for theirs, original in ORIGINALS.items():
        section = found.get(original.section)
        if not isinstance(section, dict) or theirs not in section:
            continue
        path = f"{original.section}.{theirs}"
        rest = {name: value for name, value in section.items() if name != theirs}
        if original.name in section:
            # Refused, because one of the two values would be lost.
            message = f"is the original name of {original.name}, which is given as well"
            problems.append(Problem(path=path, message=message, hint=f"leave out either {theirs} or {original.name}"))
        elif problem := _problem(path, section[theirs], original):
            problems.append(problem)
        else:
            value = section[theirs]
            rest[original.name] = f"{value}s" if original.seconds else value
        found[original.section] = rest
    return found, problems


def _problem(path: str, value: object, original: Original) -> Problem | None:
    if isinstance(value, bool) or not isinstance(value, int):
        what = "whole seconds without a unit" if original.seconds else "a whole number"
        hint = "write digits alone" + (f", or {original.name} with its unit" if original.seconds else "")
        return Problem(path=path, message=f"counts {what}, not {kind_of(value)} ({shown(value)})", hint=hint)
    most = _MOST_SECONDS if original.seconds else 1_000_000
    if not 1 <= value <= most:
        hint = "in seconds" if original.seconds else f"it is {original.name} under its original name"
        return Problem(path=path, message=f"must be 1 to {most}, not {shown(value)}", hint=hint)
    return None
