"""Cases that cannot be measured are skipped or invalid, each with a reason."""

from domain.cases.cases import case_at
from domain.cases.unmeasurable import exclude_uncaptured, exclude_unreached, exclude_without_baggage, exclusion_of
from domain.faults.model import CapturedFailure, FaultReport, InjectionState
from domain.measuring.load import CaseOutcome
from domain.traffic.summary import RecordedService


def test_a_service_without_traffic_is_skipped() -> None:
    """An analysis that is COMPLETED without patterns is not data."""
    recorded = [RecordedService(service="a", patterns=0, baggage_forwarded=False)]
    assert [exclusion.outcome for exclusion in exclude_unreached(recorded)] == [CaseOutcome.SKIPPED]
    assert exclude_without_baggage(recorded) == []


def test_a_service_that_baggage_does_not_reach_is_invalid() -> None:
    """No rule selected by baggage can act there, so no case of it may pass."""
    recorded = [RecordedService(service="a", patterns=2, baggage_forwarded=False)]
    (lost,) = exclude_without_baggage(recorded)
    assert lost.outcome is CaseOutcome.INVALID
    assert "baggage" in lost.reason


def test_a_service_without_a_captured_failure_is_skipped_with_its_error() -> None:
    """The cases of the service show the error."""
    report = FaultReport(service="a", fault_name="f", state=InjectionState.FAILED, error="it exploded")
    (skipped,) = exclude_uncaptured([report])
    assert skipped.outcome is CaseOutcome.SKIPPED
    assert "it exploded" in skipped.reason


def test_a_fault_without_effect_makes_its_service_invalid() -> None:
    """A fault that changed nothing proves nothing."""
    captured = CapturedFailure(service="a", responses=1, status=200, no_effect=True)
    report = FaultReport(service="a", fault_name="f", state=InjectionState.RECOVERED, captured=captured)
    assert [exclusion.outcome for exclusion in exclude_uncaptured([report])] == [CaseOutcome.INVALID]


def test_a_case_is_excluded_by_any_of_its_services() -> None:
    """Pairs with an unusable service are excluded. The baseline never is."""
    (skipped,) = exclude_unreached([RecordedService(service="b", patterns=0, baggage_forwarded=False)])
    excluded = {"b": skipped}
    services = ["a", "b", "c"]
    found = {case_at(services, index).case_id for index in range(7) if exclusion_of(case_at(services, index), excluded)}
    assert found == {"b", "a+b", "b+c"}
