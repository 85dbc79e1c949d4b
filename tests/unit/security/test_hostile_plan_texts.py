"""Hostile text anywhere in a plan is a problem at its path, or the plan can be sent exactly as it is shown."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest
from pydantic import BaseModel

from clients.http.requests import prepare
from clients.load.encoding import encode
from clients.load.sendable import refuse_unsendable
from clients.plans.files import read_plan_file
from clients.secrets.values import Secrets
from domain.control_characters import STEERING
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_input, check_plan
from tests.support.paths import PLANS

HOSTILE = {
    "nul": "a\0b",
    "escape": "a\x1b[2Jb",
    "line break": "a\nb",
    "carriage return": "a\r\nb: c",
    "C1": "a\x9b31mb",
    "delete": "a\x7fb",
    "override": "a\u202eb",
    "isolate": "a\u2066b",
    "mark": "a\u200fb",
    "zero width": "a\u200bb",
    "byte order": "\ufeffa",
    "tag": "a\U000e0041b",
    "line separator": "a\u2028b",
    "half a character": "a\ud800b",
    "70,000 characters": "a" * 70_000,
}
FREE = ("request.json", "request.form", "request.raw", "request.query", "request.login.json", "request.login.form",
        "steady_state.body_contains")  # fmt: skip
"""Content that is sent or searched for byte by byte: the only places that may hold an invisible character."""
SECRETS = {"CHECKOUT_TOKEN": "t", "KEY": "k", "USER_NAME": "u", "CLIENT": "c", "PASSWORD": "p", "HOLDFAST_SECRETS": "*"}

Place = tuple[str | int, ...]


def whole_plans() -> dict[str, dict[str, Any]]:
    """Return a plan with every field, and variants with the alternatives to some of them."""
    everything = read_plan_file(PLANS / "everything.yaml")
    assert isinstance(everything, dict)
    forms = copy.deepcopy(everything)
    forms["system"]["stability"] = {"kind": "http", "path": "/health", "consecutive": 2}
    forms["request"] |= {"form": {"a": "b", "c": ["d", "e"]}}
    forms["request"].pop("json")
    forms["request"]["login"] |= {"form": {"a": "b"}}
    forms["request"]["login"].pop("json")
    raw = copy.deepcopy(forms)
    raw["request"].pop("form")
    raw["request"]["raw"] = "text"
    raw["services"][1]["fault"] = {"remove": {"containers": ["mail"]}}
    return {"everything": everything, "http, forms": forms, "raw": raw}


DOCUMENTS = whole_plans()


def texts(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of every text."""
    if isinstance(value, str):
        yield place
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, (*place, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from texts(inner, (*place, position))


def named(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def put(document: dict[str, Any], place: Place, text: str) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    inner: Any = changed
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = text
    return changed


def written_at(document: dict[str, Any], place: Place) -> str:
    found: Any = document
    for part in place:
        found = found[part]
    return str(found)


def kinds_for(which: str, place: Place) -> list[str]:
    """Return three kinds that matter everywhere, and a fourth that varies by place: all kinds would take minutes."""
    kinds = list(HOSTILE)
    return ["line break", "override", "70,000 characters", kinds[crc32(f"{which}{place}".encode()) % len(kinds)]]


def at(path: str, place: str) -> bool:
    """Return whether a problem is about this place, or about a part of the plan that holds it."""
    plain = path.replace("'", "")
    return place == plain or place.startswith((f"{plain}.", f"{plain}["))


CASES = [(which, place) for which, document in DOCUMENTS.items() for place in texts(document)]


@pytest.mark.parametrize(("which", "place"), CASES, ids=[f"{which} {named(place)}" for which, place in CASES])
def test_a_hostile_text_is_refused_at_its_place_or_can_be_sent(which: str, place: Place) -> None:
    for kind in kinds_for(which, place):
        # Appended to the original text, so that it gets as far as a text of its kind can.
        text = written_at(DOCUMENTS[which], place) + HOSTILE[kind]
        plan, problems = check_plan(put(DOCUMENTS[which], place, text))
        if plan is None:
            assert any(at(problem.path, named(place)) for problem in problems), (kind, text[:40], problems)
            assert not any(STEERING.search(str(problem)) for problem in problems)
            continue
        prose = named(place) == "description" or named(place).endswith("reason")
        assert named(place).startswith(FREE) or (prose and not STEERING.search(text)), (kind, text[:40])
        request = prepare(plan.request, Secrets(SECRETS), None)
        refuse_unsendable(request)
        assert len(encode(request).data.partition(b"\r\n")[0]) < 80_000


def models(model: Any, seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """Collect every model that a plan is made of."""
    if isinstance(model, type) and issubclass(model, BaseModel):
        if model not in seen:
            seen.add(model)
            for field in model.model_fields.values():
                models(field.annotation, seen)
                for extra in field.metadata:
                    models(extra, seen)
        return seen
    for inner in getattr(model, "__args__", ()):
        models(inner, seen)
    return seen


def test_the_plans_of_this_suite_hold_every_field_of_the_model() -> None:
    """A new field must be added to them, and is then attacked as well."""
    written = {part for _, place in CASES for part in place if isinstance(part, str)}
    written |= {name for document in DOCUMENTS.values() for name in _names(document)}
    fields = {field.alias or name for model in models(Plan, set()) for name, field in model.model_fields.items()}
    # The plans use the original's names for some fields; numbers are not texts.
    elsewhere = {"analyze", "rules_ttl", "requests", "max_requests", "concurrency"}
    assert fields - written - elsewhere == set()


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_field_name_is_refused_or_can_be_sent(hostile: str) -> None:
    for place in [(), ("system", "services"), ("request", "headers"), ("request", "query"), ("request", "form")]:
        document = copy.deepcopy(DOCUMENTS["http, forms"])
        inner: Any = document
        for part in place:
            inner = inner[part]
        inner[hostile] = "http://127.0.0.1:18999"
        plan, problems = check_plan(document)
        assert not any(STEERING.search(str(problem)) for problem in problems)
        if plan is not None:
            assert place[-1:] in (("query",), ("form",))
            refuse_unsendable(prepare(plan.request, Secrets(SECRETS), None))


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_beside_a_plan_is_refused_as_well(hostile: str) -> None:
    found = check_input({"plan": DOCUMENTS["raw"], "requested_by": hostile})
    assert [problem.path for problem in found.problems] == ["requested_by"]
    assert not STEERING.search(json.dumps([str(problem) for problem in found.problems], ensure_ascii=False))


@pytest.mark.parametrize("path", ["/a b", "/ü", "/a\\b", "/a#b", "/%zz\x01", "/" + "a" * 70_000])
def test_a_readiness_path_that_cannot_be_requested_is_refused(path: str) -> None:
    _, problems = check_plan(put(DOCUMENTS["raw"], ("system", "stability", "path"), path))
    assert [problem.path for problem in problems] == ["system.stability.path"]
