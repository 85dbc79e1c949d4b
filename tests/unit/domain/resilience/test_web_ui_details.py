"""What a run's page in the Web UI says of its plan from the start."""

from __future__ import annotations

from typing import Any

from domain.plans.canonical import canonical_json
from domain.plans.plan import Plan
from domain.resilience.kind import KIND
from domain.resilience.web_ui_details import plan_details
from operations.definitions import DefinitionFile
from tests.support.plans.builders import good


def plan_with(**changes: Any) -> Plan:
    return Plan.model_validate(good() | changes)


def test_it_names_the_services_and_how_they_fail() -> None:
    details = plan_details(plan_with(description="What *customers* see\nnow", team="checkout"))
    assert "| reviews | remove |" in details
    assert "| shipping | delay |" in details
    assert "Team: checkout" in details
    assert r"What \*customers\* see" in details
    assert "127.0.0.1" not in details


def test_a_large_plan_is_cut_to_what_the_server_takes() -> None:
    names = [f"s{number}" for number in range(80)]
    system = good()["system"] | {"services": dict.fromkeys(names, "http://127.0.0.1:18083")}
    plan = plan_with(
        description="\u00e4" * 30_000,
        system=system,
        services=[{"name": name, "fault": "remove"} for name in names],
    )
    summary, details = DefinitionFile(KIND, plan, {}).for_web_ui()
    assert len(summary.encode()) <= 200
    assert len(details.encode()) <= 10_000
    assert "| s49 | remove |" in details
    assert details.endswith("and 30 more")


def test_a_plan_without_a_team_keeps_the_text_and_the_id_that_it_had() -> None:
    assert '"team"' not in canonical_json(plan_with())
    assert '"team":"checkout"' in canonical_json(plan_with(team="checkout"))
