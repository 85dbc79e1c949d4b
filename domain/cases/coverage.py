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


def before_injection(recorded: Sequence[RecordedService]) -> list[Exclusion]:
    """Exclude services that need no fault: their cases could not be measured."""
    return [no_traffic(service.service) for service in recorded if not service.patterns]


def baggage_lost(recorded: Sequence[RecordedService]) -> list[Exclusion]:
    """Exclude services that the marker did not reach.

    No rule selected by baggage can act there.
    """
    return [
        Exclusion(
            service=service.service,
            outcome=CaseOutcome.INVALID,
            reason=f"baggage lost: the request reached {service.service} without the baggage header it was sent with",
        )
        for service in recorded
        if service.patterns and not service.baggage_forwarded
    ]


def after_injection(reports: Sequence[FaultReport]) -> list[Exclusion]:
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


def joined(excluded: Sequence[Exclusion], later: Sequence[FaultReport]) -> list[Exclusion]:
    """Lift exclusions of services whose failure discovery has captured after all.

    Only services that healthy traffic does not reach qualify. `later`: the fault reports of discovery.
    """
    captured = {report.service for report in later if report.captured is not None and not report.captured.no_effect}
    return [
        exclusion
        for exclusion in excluded
        if exclusion != no_traffic(exclusion.service) or exclusion.service not in captured
    ]


def exclusion_of(case: Case, excluded: Mapping[str, Exclusion]) -> Exclusion | None:
    """Return why this case cannot be measured; None if it can."""
    return next((excluded[service] for service in case.services if service in excluded), None)
