"""`holdfast init`: its plan is valid or shows where it is not, and every comment in it is true."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import cli
from cli.plan_template import placeholders, plan_template
from clients.plans.files import read_plan_file
from domain.plans.plan import Plan
from domain.plans.validation.fields import models_in
from domain.plans.validation.problems import PLACEHOLDER
from domain.plans.validation.validate import check_plan
from lab import Lab, PortChoice, load_topology
from tests.support.paths import ROOT

ALL = (
    "--namespace", "shop", "--proxy", "http://127.0.0.1:18105", "--fault-service", "http://faults.example.internal:8103",
    "--url", "http://127.0.0.1:18080/api/home", "--service", "storefront=http://127.0.0.1:18080",
    "--service", "cart=http://127.0.0.1:18081", "--service", "payment=http://127.0.0.1:18082",
)  # fmt: skip

SETTING = re.compile(r"( *)#([a-z_]+):(.*)")
EXAMPLE = " Example:"


def init(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["init", *arguments])


def validated(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(CliRunner().invoke(cli, ["validate", "--json", str(path)]).stdout)
    return found


def test_a_plan_from_all_options_is_valid_as_it_is(tmp_path: Path) -> None:
    """Every service is broken except the entry; hosts are allowed; the output names the next steps."""
    path = tmp_path / "plan.yaml"
    result = init(*ALL, "--output", str(path))
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        f"written: {path}",
        f"next: `holdfast validate {path}` checks it",
        f"then: `holdfast preview {path}` shows what a run would do, `holdfast run {path}` does it",
    ]
    assert path.read_text().startswith("# yaml-language-server: $schema=")
    assert validated(path)["problems"] == []
    plan = Plan.model_validate(read_plan_file(path))
    assert (plan.name, plan.system.namespace, plan.service_names) == ("shop", "shop", ["cart", "payment"])
    assert plan.safety.allowed_hosts == ["127.0.0.1", "faults.example.internal"]


def test_the_plan_is_printed_if_no_file_is_named() -> None:
    """Standard output holds nothing else, so that it can be piped. The next step is on standard error."""
    result = init(*ALL)
    assert check_plan(yaml.safe_load(result.stdout))[1] == []
    assert "next: `holdfast validate PLAN`" in result.stderr


@pytest.mark.parametrize("left_out", [None, *range(4), 4])
def test_validate_reports_exactly_the_placeholders_of_unknown_values(tmp_path: Path, left_out: int | None) -> None:
    """With nothing given, or with all options but one: both commands show the same places, also in words."""
    given: list[str] = []
    if left_out == 4:
        given = list(ALL[:8])
    elif left_out is not None:
        given = [*ALL[: 2 * left_out], *ALL[2 * left_out + 2 :]]
    path = tmp_path / "plan.yaml"
    facts = json.loads(init(*given, "--output", str(path), "--json").stdout)
    assert facts["valid"] is False
    assert facts["placeholders"]
    reported = validated(path)["problems"]
    assert {problem["message"] for problem in reported} == {f"is still {PLACEHOLDER}"}
    problems = [problem["path"] for problem in reported]
    assert set(problems) == set(facts["placeholders"]) == set(placeholders(read_plan_file(path)))
    words = init(*given, "--output", str(path), "--overwrite").output
    assert f"next: replace {PLACEHOLDER} in {', '.join(facts['placeholders'])};" in words


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("cart=error", "error"),
        ("cart={delay: 3s}", {"delay": "3s"}),
        ("cart={remove: {containers: [app]}}", {"remove": {"containers": ["app"]}}),
    ],
)
def test_faults_are_written_as_in_a_plan(fault: str, found: object) -> None:
    """Only the named services are broken."""
    document = yaml.safe_load(init(*ALL, "--fault", fault).stdout)
    assert document["services"] == [{"name": "cart", "fault": found}]
    assert check_plan(document)[1] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fault", "crat=remove"), "did you mean 'cart'?"),
        (("--fault", "cart={"), "write it as a plan does"),
        (("--fault", "cart"), "is written NAME=VALUE"),
        (("--service", "cart=http://127.0.0.1:1"), "is given twice"),
        (("--lab", "http://127.0.0.1:1"), "`holdfast lab` starts one"),
    ],
)
def test_unusable_options_are_refused_with_a_hint(arguments: tuple[str, ...], words: str) -> None:
    """In a sentence, and nothing is written."""
    result = init(*ALL, *arguments)
    assert result.exit_code in (2, 3)
    assert result.stdout == ""
    assert words in result.stderr


def test_an_existing_file_is_kept_unless_overwrite_is_given(tmp_path: Path) -> None:
    """It may be somebody's plan."""
    path = tmp_path / "plan.yaml"
    path.write_text("mine")
    refused = init(*ALL, "--output", str(path))
    assert (refused.exit_code, path.read_text()) == (2, "mine")
    assert "--overwrite replaces it" in refused.stderr
    assert init(*ALL, "--output", str(path), "--overwrite").exit_code == 0
    assert path.read_text() != "mine"


@pytest.mark.parametrize("topology", ["shop-topology.yaml", "train-ticket-topology.yaml"])
async def test_a_running_lab_supplies_everything(tmp_path: Path, topology: str) -> None:
    """The plan is valid as it is, and is the lab's. The admin address may be given as the lab prints it."""
    path = tmp_path / "plan.yaml"
    async with Lab(load_topology(ROOT / "examples" / topology), ports=PortChoice.FREE) as lab:
        for admin in (lab.addresses.admin, f"{lab.addresses.admin}/lab/state"):
            result = await asyncio.to_thread(init, "--lab", admin, "--output", str(path), "--overwrite")
            assert result.exit_code == 0, result.output
        elsewhere = await asyncio.to_thread(init, "--lab", lab.addresses.services[lab.addresses.entry_service])
        assert elsewhere.exit_code == 3
    assert validated(path)["problems"] == []
    plan = Plan.model_validate(read_plan_file(path))
    assert (plan.system.proxy, plan.system.services) == (lab.addresses.proxy, lab.addresses.services)
    assert set(plan.service_names) == set(lab.addresses.services) - {lab.addresses.entry_service}
    assert plan.request.url.startswith(lab.addresses.entry)


def settings(text: str) -> Iterator[tuple[str, str, bool]]:
    """Yield each commented setting: its name, the text with it uncommented, whether it differs from the default.

    A section brings everything in it. Every setting brings the `kind` of its section, which decides what the settings
    mean.
    """
    lines = text.splitlines()
    found = {number: match for number, line in enumerate(lines) if (match := SETTING.fullmatch(line))}
    for number, match in found.items():
        above = [candidate for candidate in found if candidate < number and number in inside(lines, candidate)]
        kinds = [
            candidate
            for candidate in found
            if found[candidate][2] == "kind" and above and candidate in inside(lines, above[-1])
        ]
        within = [candidate for candidate in found if candidate in inside(lines, number)]
        taken = {number, *above, *kinds, *within}
        shown = [line.replace("#", "", 1) if place in taken else line for place, line in enumerate(lines)]
        differs = any(lines[place - 1].endswith(EXAMPLE) or "kubernetes" in lines[place] for place in taken)
        yield match[2], "\n".join(shown), differs


def inside(lines: list[str], header: int) -> range:
    """Return the lines of the section that begins at this line, without the line itself."""
    depth = len(lines[header]) - len(lines[header].lstrip())
    end = header + 1
    while end < len(lines) and len(lines[end]) - len(lines[end].lstrip()) > depth:
        end += 1
    return range(header + 1, end)


def test_every_commented_setting_is_valid() -> None:
    """Uncommented alone. Unless it is an example it changes nothing, because it is the default."""
    text = init(*ALL).stdout
    (plan, _), names = check_plan(yaml.safe_load(text)), []
    for name, uncommented, differs in settings(text):
        found, problems = check_plan(yaml.safe_load(uncommented))
        assert found is not None, (name, problems)
        assert (found == plan) is not differs, name
        names.append(name)
    assert names.count("stability") == 3
    assert {"load", "steady_state", "timeouts", "exclude", "redact", "substitute_status"} < set(names)


def test_the_plan_has_every_field_of_the_model() -> None:
    """Given or as a comment, in each section, including fields that are added to the model later."""
    text = init(*ALL).stdout
    for name, field in fields_of(Plan):
        assert re.search(rf"^ *(- )?(# ?)?{name}:", text, re.MULTILINE), name
        if field.description:
            first = field.description.split()[0]
            assert f"# {first}" in text, name


def fields_of(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield the fields of a plan and its sections.

    A fault, an exclusion, an override and a login are written on one line, so their fields are left out.
    """
    for name, field in model.model_fields.items():
        yield field.alias or name, field
        if name not in ("fault", "exclude", "overrides", "login"):
            for inner in models_in(field.annotation):
                yield from fields_of(inner)


def test_a_plan_with_a_single_service_still_shows_an_exclusion() -> None:
    """It has no pair to exclude: the example names other services and stays a comment."""
    text = plan_template(yaml.safe_load(init(*ALL, "--fault", "cart=remove").stdout))
    assert "#exclude: [{case: cart+payment" in text
