"""Whatever a plan file holds, it is a valid plan or is refused with a reason: never a traceback, never silence."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from clients.http.request_definitions import definition_of
from clients.http.requests import prepare
from clients.plans.files import PlanFileError, read_plan_file
from clients.secrets.values import Secrets, redactor_for
from domain.cases.cases import case_at, case_count
from domain.cases.tokens import token_of
from domain.faults.chaosblade.expansion import expand, faults_json
from domain.plans.canonical import canonical_json
from domain.plans.environments import environment_in, environment_of, environment_problems
from domain.plans.exclusions import PlanExclusions
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_input, check_plan
from tests.support.plans.mutations import LAUGHS, json_of, mutated_document, mutated_text

QUICK = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(QUICK, max_examples=6_000)
pytestmark = pytest.mark.timeout(100)


def judged(content: str | bytes, path: Path) -> None:
    """Check that a file is either a usable plan or refused with a printable message."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode(errors="surrogatepass"))
    refusal, document = None, None
    try:
        document = read_plan_file(path)
    except PlanFileError as error:
        refusal = error
    if refusal is None:
        known(document)
        return
    assert re.fullmatch(re.escape(str(path)) + r"(:\d+){0,2}: .{3,}", refusal.message), repr(refusal.message)
    assert str(refusal).isprintable(), repr(str(refusal))
    assert len(str(refusal)) < 1_000


def known(document: object) -> None:
    """Check that a document is a valid plan or has problems, each with a message and a hint."""
    plan, problems = check_plan(document)
    assert (plan is None) == bool(problems)
    for problem in problems:
        line = str(problem)
        line.encode()
        assert problem.message
        assert problem.hint
        assert line.isprintable(), repr(line)
        assert len(line) < 1_000
    checked = check_input({"plan": document})
    assert checked.problems == problems or not isinstance(document, dict)
    if plan is not None:
        usable(plan, document)


class Everything(dict[str, str]):
    """An environment in which every variable is set."""

    def get(self, name: str, default: Any = None) -> Any:
        return "*" if name == "HOLDFAST_SECRETS" else f"value-of-{name}"


def usable(plan: Plan, document: Any) -> None:
    """Do everything with a valid plan that a run does before it switches anything on."""
    stored = canonical_json(plan)
    stored.encode()
    again, problems = check_plan(json.loads(stored))
    assert (again, problems) == (plan, [])
    definition_of(plan).model_dump_json().encode()
    assert environment_of(plan, {})
    assert environment_in(plan)
    list(environment_problems(plan, {}))
    exclusions = PlanExclusions(plan)
    for index in range(min(case_count(len(plan.services)), 40)):
        exclusions.reason(case_at(plan.service_names, index))
    for name in plan.service_names:
        assert token_of(plan, name)
        expanded = expand(plan.service(name).fault, name, plan.system.namespace)
        json.loads(faults_json(name, plan.system.namespace, expanded.experiment))
    secrets = Secrets(Everything())
    assert prepare(plan.request, secrets, "chaos.a.remove=1").method == plan.request.method
    redactor_for(plan, secrets).body(stored)


TEXTS = mutated_text()
JSON_TEXTS = mutated_text(json_of)


@QUICK
@given(TEXTS)
@example("[" * 1_000)
@example("a: " + "{a: " * 1_000)
@example("a: " + "- " * 5_000)
@example("'" * 1_001)
@example(LAUGHS)
@example("a: 1\nb: &b [*b]")
@example("a: !!python/object/apply:os.system [id]")
@example("a: 1\n<<: {a: 2}")
@example("\ufeffname: x\n\0")
@example("9" * 5_000)
def test_mutated_yaml_is_a_plan_or_has_problems(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Read as YAML, and as a file without a suffix, whose format is detected from its first character."""
    for name in ("fuzz.yaml", "fuzz"):
        judged(text, tmp_path_factory.getbasetemp() / name)


@QUICK
@given(JSON_TEXTS)
def test_mutated_json_is_a_plan_or_has_problems(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Read as JSON, and as a file without a suffix, whose format is detected from its first character."""
    for name in ("fuzz.json", "fuzz"):
        judged(text, tmp_path_factory.getbasetemp() / name)


@QUICK
@given(TEXTS, st.data())
def test_other_encodings_and_broken_bytes_are_a_plan_or_have_problems(
    tmp_path_factory: pytest.TempPathFactory, text: str, data: st.DataObject
) -> None:
    """Other encodings, byte order marks and bytes that are not text."""
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1", "cp1252"]))
    content = bytearray(text.encode(encoding, errors="replace"))
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(content)))
        content[at:at] = data.draw(st.binary(min_size=1, max_size=3))
    judged(bytes(content), tmp_path_factory.getbasetemp() / "fuzz.yaml")


@QUICK
@given(mutated_document())
def test_mutated_documents_are_a_plan_or_have_problems(document: Any) -> None:
    """These skip the file reader. Programs may pass values that JSON lacks, such as some floats and lone surrogates."""
    known(document)


@pytest.mark.exhaustive
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", ["fuzz.yaml", "fuzz.json", "fuzz"])
@LONG
@given(TEXTS | JSON_TEXTS)
def test_many_mutated_files_are_a_plan_or_have_problems(
    tmp_path_factory: pytest.TempPathFactory, name: str, text: str
) -> None:
    judged(text, tmp_path_factory.getbasetemp() / name)


@pytest.mark.exhaustive
@pytest.mark.timeout(1_800)
@LONG
@given(mutated_document())
def test_many_mutated_documents_are_a_plan_or_have_problems(document: Any) -> None:
    known(document)
