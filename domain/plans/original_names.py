"""Names of the original orchestrator (`stages` section 5).

A plan may use them in place of ours.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from domain.errors import Problem
from domain.plans.validation.wording import kind_of, shown
from domain.units import LONGEST


class OurSetting(NamedTuple):
    """Where a setting of the original orchestrator goes in a plan of ours."""

    section: str
    name: str
    seconds: bool
    """Whether the value is a whole number of seconds, without unit. If not, it is taken as it is."""


OUR_SETTINGS: dict[str, OurSetting] = {
    "waitAnalyzeTimeoutSec": OurSetting("timeouts", "analyze", seconds=True),
    "waitInterceptorReadySec": OurSetting("timeouts", "rules_ready", seconds=True),
    "ttlSecForInterceptors": OurSetting("timeouts", "rules_ttl", seconds=True),
    "requestNum": OurSetting("load", "requests", seconds=False),
}
"""The original names. A plan may write each one in the section of the setting that it stands for."""

_MOST_SECONDS = int(LONGEST.total_seconds())


def rename_originals(document: dict[Any, Any]) -> tuple[dict[Any, Any], list[Problem]]:
    """Return the document with our names, and problems with the original names.

    The given document is not changed.
    """
    renamed = dict(document)
    problems = []
    for their_name, ours in OUR_SETTINGS.items():
        section = renamed.get(ours.section)
        if not isinstance(section, dict) or their_name not in section:
            continue
        path = f"{ours.section}.{their_name}"
        rest = {name: value for name, value in section.items() if name != their_name}
        if ours.name in section:
            # Refused, because one of the two values would be lost.
            message = f"is the original name of {ours.name}, which is given as well"
            problems.append(Problem(path=path, message=message, hint=f"leave out either {their_name} or {ours.name}"))
        elif problem := _problem(path, section[their_name], ours):
            problems.append(problem)
        else:
            value = section[their_name]
            rest[ours.name] = f"{value}s" if ours.seconds else value
        renamed[ours.section] = rest
    return renamed, problems


def _problem(path: str, value: object, ours: OurSetting) -> Problem | None:
    if isinstance(value, bool) or not isinstance(value, int):
        what = "whole seconds without a unit" if ours.seconds else "a whole number"
        hint = "write digits alone" + (f", or {ours.name} with its unit" if ours.seconds else "")
        return Problem(path=path, message=f"counts {what}, not {kind_of(value)} ({shown(value)})", hint=hint)
    most = _MOST_SECONDS if ours.seconds else 1_000_000
    if not 1 <= value <= most:
        hint = "in seconds" if ours.seconds else f"it is {ours.name} under its original name"
        return Problem(path=path, message=f"must be 1 to {most}, not {shown(value)}", hint=hint)
    return None
