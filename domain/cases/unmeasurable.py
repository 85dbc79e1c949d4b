"""Which cases cannot be measured, and why.

A case with an excluded service cannot be measured. The first such service gives its outcome and its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from domain.faults.model import FaultReport
from domain.measuring.load import Case, CaseOutcome, Exclusion
from domain.traffic.summary import RecordedService


def no_traffic(service: str) -> Exclusion:
    """Return the exclusion of a service whose traffic was not recorded.

    Without recorded traffic there is nothing to replay.
    """
    return Exclusion(
        service=service,
        outcome=CaseOutcome.SKIPPED,
        reason=f"no traffic of {service} was recorded: the request does not reach it",
    )


def is_no_traffic(exclusion: Exclusion) -> bool:
    """Return whether a service is excluded because its traffic was not recorded."""
    return exclusion == no_traffic(exclusion.service)


def exclude_unreached(recorded: Sequence[RecordedService]) -> list[Exclusion]:
    """Exclude services that the recorded request did not reach."""
    return [no_traffic(record.service) for record in recorded if not record.patterns]


def exclude_without_baggage(recorded: Sequence[RecordedService]) -> list[Exclusion]:
    """Exclude services that the marker did not reach.

    No rule selected by baggage can act there.
    """
    return [
        Exclusion(
            service=record.service,
            outcome=CaseOutcome.INVALID,
            reason=f"baggage lost: the request reached {record.service} without the baggage header it was sent with",
        )
        for record in recorded
        if record.patterns and not record.baggage_forwarded
    ]


def exclude_uncaptured(reports: Sequence[FaultReport]) -> list[Exclusion]:
    """Exclude services without a usable captured failure."""
    excluded = []
    for report in reports:
        if report.captured is None:
            reason = f"{report.service} has no captured failure: {report.error or 'unknown reason'}"
            excluded.append(Exclusion(service=report.service, outcome=CaseOutcome.SKIPPED, reason=reason))
        elif report.captured.no_effect:
            reason = f"the fault in {report.service} had no effect: it answered as if healthy"
            excluded.append(Exclusion(service=report.service, outcome=CaseOutcome.INVALID, reason=reason))
    return excluded


def lift_captured(excluded: Sequence[Exclusion], later: Sequence[FaultReport]) -> list[Exclusion]:
    """Lift exclusions of services whose failure discovery has captured after all.

    Only services that healthy traffic does not reach qualify. `later`: the fault reports of discovery.
    """
    captured = {report.service for report in later if report.captured is not None and not report.captured.no_effect}
    return [exclusion for exclusion in excluded if not (is_no_traffic(exclusion) and exclusion.service in captured)]


def exclusion_of(case: Case, excluded: Mapping[str, Exclusion]) -> Exclusion | None:
    """Return why this case cannot be measured; None if it can."""
    return next((excluded[service] for service in case.services if service in excluded), None)
