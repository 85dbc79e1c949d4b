"""From what pydantic found to problems that people can act on: a path, plain words, and the nearest valid name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from workflows.contracts.errors import Problem
from workflows.contracts.faults import ContainerFault, DelayFault, ExperimentFault
from workflows.contracts.plan import Plan

_SHOWN = 80
_SECRET_PARTS = {"headers", "query", "json"}
_UNION_BRANCHES = {"DelayFault", "ContainerFault", "ExperimentFault"}

FAULT_HINT = "write remove, error, {delay: 3s}, {remove: {containers: [name]}} or {type: ..., experiment: {...}}"

MISSING = {
    "name": "names the runs of this plan",
    "system": "says where the system under test and its peers are",
    "request": "is the user request whose resilience is tested",
    "services": "says who is made to fail and how",
    "slo": "says what a case must meet to pass, for example {error_rate: 1%, p95: 500ms}",
    "namespace": "is the Kubernetes namespace under test",
    "proxy": "is the address of the traffic proxy",
    "faults": "is the address of the fault service",
    "url": "is the absolute address that the request is sent to",
    "fault": FAULT_HINT,
    "experiment": "is the ChaosBlade experiment: scope, target, action, matchers",
}


def path_of(parts: Sequence[int | str]) -> str:
    """`("services", 2, "fault")` as `services[2].fault`."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else (f".{part}" if path else str(part))
    return path


def nearest(word: object, valid: Iterable[str]) -> str:
    """A hint: the nearest valid word, or all of them when none is near and they are few."""
    words = list(valid)
    by_case = {_plain(one): one for one in words}
    found = get_close_matches(_plain(str(word)), by_case, n=1, cutoff=0.6)
    if found:
        return f"did you mean '{by_case[found[0]]}'?"
    return f"valid here: {', '.join(words)}" if len(words) <= 12 else ""


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def shown(value: object, path: Sequence[int | str] = ()) -> str:
    """A value in a message, cut short; values that may be secret are not shown at all."""
    if _SECRET_PARTS.intersection(str(part) for part in path):
        return "the value"
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def problems_of(error: ValidationError, raw: object, model: type[BaseModel] = Plan) -> list[Problem]:
    """Every problem of shape, one per place: the branches of the fault union are told as one."""
    problems: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        problem = _problem(detail, raw, model)
        problems.setdefault(problem.path + problem.message, problem)
    return _without_echoes(list(problems.values()))


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """A place whose parts have problems of their own needs none itself."""
    paths = [problem.path for problem in problems]
    return [
        problem
        for problem in problems
        if not (problem.hint == FAULT_HINT and any(_inside(path, problem.path) for path in paths))
    ]


def _inside(path: str, outer: str) -> bool:
    return path != outer and path.startswith(outer) and path[len(outer) :][:1] in (".", "[")


def _problem(detail: ErrorDetails, raw: object, model: type[BaseModel]) -> Problem:
    location = detail["loc"]
    fault = _fault_problem(location, detail, raw)
    if fault is not None:
        return fault
    parts = [part for part in location if part != "[key]"]
    path, kind = path_of(parts), detail["type"]
    last = str(parts[-1]) if parts else ""
    if kind == "extra_forbidden":
        return Problem(path=path, message="unknown field", hint=nearest(last, _fields_at(model, parts[:-1])))
    if kind == "missing":
        return Problem(path=path, message="missing", hint=MISSING.get(last, ""))
    if kind in ("enum", "literal_error"):
        allowed = [word.strip(" '") for word in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
        return Problem(
            path=path,
            message=f"{shown(detail['input'], parts)} is not valid here",
            hint=nearest(detail["input"], allowed),
        )
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        message = f"{shown(detail['input'], parts)} is not a valid name here"
        return Problem(path=path, message=message, hint=_pattern_hint(detail["ctx"]["pattern"]))
    if kind != "value_error" and not isinstance(detail["input"], (dict, list)):
        message = f"{message[:1].lower()}{message[1:]}, not {shown(detail['input'], parts)}"
    return Problem(path=path, message=message)


def _pattern_hint(pattern: str) -> str:
    if pattern.startswith("^[a-z0-9]("):
        return "lower-case letters, digits and hyphens, as Kubernetes names services"
    if pattern == "^/":
        return "a path starts with /"
    return f"it must match {pattern}"


def _fault_problem(location: tuple[int | str, ...], detail: ErrorDetails, raw: object) -> Problem | None:
    """Problems inside `services[i].fault`, where pydantic reports once per branch of the union."""
    if len(location) < 4 or location[0] != "services" or location[2] != "fault":
        return None
    value = _value_at(raw, location[:3])
    place = path_of(location[:3])
    if not isinstance(value, dict):
        hint = nearest(value, ["remove", "error"]) if isinstance(value, str) else ""
        hint = hint if hint.startswith("did") else FAULT_HINT
        return Problem(path=place, message=f"{shown(value)} is not a fault", hint=hint)
    branch = _branch_meant(value)
    if branch is None:
        return Problem(path=place, message=f"{shown(value)} is not a fault", hint=FAULT_HINT)
    if str(location[3]) != branch.__name__:
        return Problem(path=place, message="", hint=FAULT_HINT)
    inner = detail | {"loc": tuple(location[:3]) + tuple(location[4:])}
    return _inner_problem(ErrorDetails(**inner), branch)


def _inner_problem(detail: ErrorDetails, branch: type[BaseModel]) -> Problem:
    parts = [part for part in detail["loc"] if part != "[key]"]
    last = str(parts[-1])
    if detail["type"] == "extra_forbidden":
        fields = _fields_at(branch, parts[3:-1])
        return Problem(path=path_of(parts), message="unknown field", hint=nearest(last, fields))
    if detail["type"] == "missing":
        return Problem(path=path_of(parts), message="missing", hint=MISSING.get(last, ""))
    message = detail["msg"].removeprefix("Value error, ")
    return Problem(path=path_of(parts), message=f"{message[:1].lower()}{message[1:]}")


def _branch_meant(value: dict[str, Any]) -> type[BaseModel] | None:
    """The form of fault that its keys speak for."""
    if {"type", "experiment"} & value.keys():
        return ExperimentFault
    if "delay" in value:
        return DelayFault
    if {"remove", "error"} & value.keys():
        return ContainerFault
    return None


def _value_at(raw: object, location: Sequence[int | str]) -> object:
    value: Any = raw
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _fields_at(model: type[BaseModel], parts: Sequence[int | str]) -> list[str]:
    """The field names that are valid at a path."""
    current: Any = model
    for part in parts:
        if isinstance(part, int):
            continue
        found = _model_in(current, str(part))
        if found is None:
            return []
        current = found
    return [field.alias or name for name, field in current.model_fields.items()]


def _model_in(model: Any, name: str) -> Any:
    for field_name, field in model.model_fields.items():
        if name in (field_name, field.alias):
            return _first_model(field.annotation)
    return None


def _first_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _first_model(one)) is not None), None)
