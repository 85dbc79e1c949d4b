"""Verdicts are compared with the truth and counted accordingly."""

from __future__ import annotations

import pytest

from benchmarks.support.frame import Row
from benchmarks.support.generated_truth import Checked, Judged, judged, rows_of, wanted
from clients.store.read_models import CaseResult
from domain.executions.execution import Verdict
from domain.measuring.load import CaseOutcome
from lab import Broken, RealOutcome
from lab.generated.graphs import Shape
from lab.generated.planting import Weakness

WELL, SLOW, BROKEN, SILENT = (
    RealOutcome(status=200, seconds=0.1, body=""),
    RealOutcome(status=200, seconds=2.1, body=""),
    RealOutcome(status=503, seconds=0.1, body=""),
    RealOutcome(status=None, seconds=0.1, body=""),
)


def case(
    truth: RealOutcome, verdict: Verdict | None, outcome: CaseOutcome = CaseOutcome.MEASURED, name: str = "a+b"
) -> Judged:
    result = CaseResult(case_index=1, case_id=name, outcome=outcome, verdict=verdict, reason="why")
    return judged(result, truth, 2.0, (Weakness.FALLBACK_PATH,))


def rows(*cases: Judged, error: str = "") -> dict[str, Row]:
    checked = Checked(wanted(0), list(cases), error)
    return {row.name.removeprefix("made-up systems: "): row for row in rows_of([checked])}


@pytest.mark.parametrize("truth", [SLOW, BROKEN, SILENT])
def test_passing_a_case_that_really_fails_is_a_false_pass(truth: RealOutcome) -> None:
    """A case really fails with an error, without an answer, or with an answer slower than the plan allows."""
    found = rows(case(truth, Verdict.PASSED), case(WELL, Verdict.PASSED))
    assert (found["false passes"].value, found["false passes"].met) == ("1 of 2", False)
    assert (
        "planted as fallback_path 1; in 1 of the systems: `holdfast lab --generate chain:6 --seed 0"
        in found["false passes"].note
    )
    assert "a+b: passed (why), really" in found["false passes"].note
    assert found["false alarms"].value == found["invalid or inconclusive"].value == "0 of 2"
    assert found["cases that really fail"].value == "1 of 2"


def test_failing_a_case_that_is_really_well_is_a_false_alarm() -> None:
    cases = [case(WELL, Verdict.FAILED), *[case(WELL, Verdict.PASSED)] * 98]
    assert rows(*cases)["false alarms"].met is False
    assert rows(*cases, case(BROKEN, Verdict.FAILED))["false alarms"].met is True


@pytest.mark.parametrize(
    "left",
    [
        case(BROKEN, Verdict.INCONCLUSIVE),
        case(BROKEN, None, CaseOutcome.INVALID),
        case(BROKEN, None, CaseOutcome.SKIPPED),
        case(BROKEN, Verdict.PASSED, CaseOutcome.INVALID),
        case(BROKEN, None),
    ],
)
def test_a_case_left_open_is_counted_as_invalid_or_inconclusive(left: Judged) -> None:
    found = rows(left, *[case(WELL, Verdict.PASSED)] * 9)
    assert (found["invalid or inconclusive"].value, found["invalid or inconclusive"].met) == ("1 of 10", False)
    assert found["false passes"].met is True


def test_a_run_without_a_result_is_no_success() -> None:
    found = rows(error="ANALYZE_FAILED")
    assert (found["runs without a result"].value, found["runs without a result"].met) == ("1 of 1", False)
    assert "ANALYZE_FAILED" in found["runs without a result"].note
    assert found["false passes"].met is False


def test_systems_have_all_shapes_sizes_and_weaknesses() -> None:
    """No two of two hundred systems are the same, and services break in both ways."""
    systems = [wanted(number) for number in range(200)]
    assert {system.shape for system in systems} == set(Shape)
    assert {system.services for system in systems} == set(range(6, 13))
    assert {(system.shape, system.services) for system in systems} == {(s, n) for s in Shape for n in range(6, 13)}
    made = [system.made() for system in systems]
    assert {weakness.kind for system in made for weakness in system.planted} == set(Weakness)
    assert len({system.topology.namespace for system in made}) == 200
    assert wanted(0).ways(["a", "b"]) == {"a": Broken.ERROR, "b": Broken.REMOVE}
    assert wanted(1).ways(["a", "b"]) == {"a": Broken.REMOVE, "b": Broken.ERROR}


def test_the_command_in_a_note_makes_the_same_system() -> None:
    """Except for the namespace and the longer pauses."""
    system = wanted(7)
    assert system.command == "holdfast lab --generate layered:7 --seed 7 --weaknesses 3 --kinds all"
    assert [service.name for service in system.made().topology.services][:2] == ["entry", "s001"]
