"""Which cases cannot be measured, and why. A case is as good as the worst of its services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workflows.contracts.faults import FaultReport
from workflows.contracts.load import Case, CaseOutcome, Exclusion
from workflows.contracts.traffic import RecordedService


def no_traffic(service: str) -> Exclusion:
    """The analysis has nothing of the service, so there is nothing to replay."""
    return Exclusion(
        service=service,
        outcome=CaseOutcome.SKIPPED,
        reason=f"no traffic of {service} was recorded: the request does not reach it",
    )


def before_injection(recorded: Sequence[RecordedService]) -> list[Exclusion]:
    """Services that need no fault, because their cases could not be measured anyway."""
    return [no_traffic(service.service) for service in recorded if not service.patterns]


def baggage_lost(recorded: Sequence[RecordedService]) -> list[Exclusion]:
    """Services that the marker did not reach: no rule selected by baggage can act there."""
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
    """Services without a usable captured failure."""
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
    """What stays excluded when discovery has seen how services fail that healthy traffic does not reach."""
    captured = {one.service for one in later if one.captured is not None and not one.captured.no_effect}
    return [one for one in excluded if one != no_traffic(one.service) or one.service not in captured]


def exclusion_of(case: Case, excluded: Mapping[str, Exclusion]) -> Exclusion | None:
    """Why this case cannot be measured; None when it can."""
    return next((excluded[service] for service in case.services if service in excluded), None)
