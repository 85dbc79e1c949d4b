"""Names of the original orchestrator (`stages` section 5) that a plan may use instead of ours."""

from __future__ import annotations

from typing import Any, NamedTuple

from domain.errors import Problem
from domain.plans.validation.wording import kind_of, shown
from domain.units import LONGEST


class Original(NamedTuple):
    """One of their settings: where it stands, and which of ours it is."""

    section: str
    name: str
    seconds: bool
    """Whether it counts seconds, as a whole number without unit. Else it is taken as it is."""


ORIGINALS: dict[str, Original] = {
    "waitAnalyzeTimeoutSec": Original("timeouts", "analyze", seconds=True),
    "waitInterceptorReadySec": Original("timeouts", "rules_ready", seconds=True),
    "ttlSecForInterceptors": Original("timeouts", "rules_ttl", seconds=True),
    "requestNum": Original("load", "requests", seconds=False),
}
"""Their names, each in the section where ours is."""

_MOST_SECONDS = int(LONGEST.total_seconds())


def in_our_words(document: dict[Any, Any]) -> tuple[dict[Any, Any], list[Problem]]:
    """The document with our names for theirs, and what is wrong with theirs. The original is left alone.

    A setting under both names is refused, because one of them would be lost.
    """
    found, problems = dict(document), []
    for theirs, original in ORIGINALS.items():
        section = found.get(original.section)
        if not isinstance(section, dict) or theirs not in section:
            continue
        path = f"{original.section}.{theirs}"
        rest = {name: value for name, value in section.items() if name != theirs}
        if original.name in section:
            message = f"is {original.name} under its original name, given already"
            problems.append(Problem(path=path, message=message, hint=f"leave out {theirs}, or {original.name}"))
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
