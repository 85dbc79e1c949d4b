"""Problems that people can act on, made from pydantic's findings.

Each has a path, plain words, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from domain.base import UnfitError
from domain.errors import Problem
from domain.faults.model import FAULT_FIELDS
from domain.plans.original_names import OUR_SETTINGS
from domain.plans.plan import Plan
from domain.plans.validation.fields import field_names, models_in, value_at
from domain.plans.validation.hints import (
    FAULT_HINT,
    FULL_FAULT,
    LIST,
    MAPPING,
    MISSING,
    no_value,
    not_matching,
    not_one_of,
    other_name,
    wrong_type_hint,
)
from domain.plans.validation.typos import Misspelt
from domain.plans.validation.wording import did_you_mean, kind_of, may_be_secret, near, path_of, shown, suggestion

MOST_PROBLEMS = 200
"""Maximum number of problems reported. Nobody reads more, and a workflow may think for only two seconds at a time."""

UNKNOWN = "unknown field"
PLACEHOLDER = "REPLACE_ME"
"""Stands in for a value that only the system's owner knows, in plans written by `holdfast init`. No field accepts it,
so `validate` reports every such place."""
_SHORTEN = "make it shorter"
_FEW = 10

_KEY_MARK = "[key]"
"""What pydantic appends to the location if a key of a mapping is wrong."""

_WANTED = {
    "string": ("must be text", "put it in quotes"),
    "int": ("must be a whole number", "write digits alone, without quotes"),
    "float": ("must be a number", "write it without quotes"),
    "bool": ("must be true or false", "write true or false, without quotes"),
    "dict": ("must be a mapping of fields", MAPPING),
    "model": ("must be a mapping of fields", MAPPING),
    "list": ("must be a list", LIST),
}
_BOUNDS = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must not be empty",
}


def problems_of(error: ValidationError, raw: object, model: type[BaseModel] = Plan) -> list[Problem]:
    """Return every problem of shape, in the order of the document's model."""
    problems: dict[tuple[str, str], Problem] = {}
    for detail in error.errors(include_url=False)[:MOST_PROBLEMS]:
        problem = _problem(detail, raw, model)
        problems.setdefault((problem.path, problem.message), problem)
    return list(problems.values())


def misspelt_fields(error: ValidationError, raw: object, model: type[BaseModel] = Plan) -> list[Misspelt]:
    """Return the unknown fields for which the intended field is clear."""
    found = []
    for detail in error.errors(include_url=False)[:MOST_PROBLEMS]:
        if detail["type"] == "extra_forbidden":
            parts = _without_form(detail["loc"])
            meant = near(parts[-1], field_names(model, parts[:-1], raw))
            if meant is not None:
                found.append(Misspelt(parts, meant))
    return found


def _problem(detail: ErrorDetails, raw: object, model: type[BaseModel]) -> Problem:
    location = detail["loc"]
    of_key = False
    if location[-1:] == (_KEY_MARK,):
        inner = value_at(raw, location[:-1])
        # A field may itself be named `[key]`.
        of_key = not (isinstance(inner, dict) and _KEY_MARK in inner)
    parts = _without_form(location[:-1] if of_key else location)
    path = path_of(parts)
    kind = detail["type"]
    if kind == "missing":
        return Problem(path=path, message="missing", hint=MISSING.get(_shape(parts), ""))
    if kind == "extra_forbidden":
        hint = _unknown_hint(str(parts[-1]), model, parts[:-1], raw)
        return Problem(path=path, message=UNKNOWN, hint=hint)
    # If a key of a mapping is wrong, show the key, not its value.
    value = parts[-1] if of_key else value_at(raw, parts)
    if value == PLACEHOLDER or kind == "value_error":
        return _unfit(path, detail, value)
    if kind == "union_tag_not_found" and parts[:2] == ["system", "stability"]:
        given = value.get("kind") if isinstance(value, dict) else value
        hint = suggestion(given, ["http", "kubernetes"])
        return Problem(path=f"{path}.kind", message=f"{shown(given)} is not a way to check stability", hint=hint)
    if kind == "union_tag_not_found" or (kind == "literal_error" and _shape(parts) == "services[].fault"):
        return Problem(path=path, message=f"{shown(value)} is not a fault", hint=_fault_hint(value))
    return _wrong_value(detail, path, value)


def _unfit(path: str, detail: ErrorDetails, value: object) -> Problem:
    if value == PLACEHOLDER:
        return Problem(path=path, message=f"is still {PLACEHOLDER}", hint="write the value for your system")
    error = detail["ctx"]["error"]
    if isinstance(error, UnfitError):
        return Problem(path=path, message=error.message, hint=error.hint)
    return Problem(path=path, message=str(error))


def _wrong_value(detail: ErrorDetails, path: str, value: object) -> Problem:
    kind = detail["type"]
    what = "the value" if may_be_secret(path) else shown(value)
    if kind in ("enum", "literal_error"):
        allowed = [word.strip(" '") for word in detail["ctx"]["expected"].replace(" or ", ",").split(",")]
        hint = not_one_of(value, allowed) or suggestion(value, allowed)
        return Problem(path=path, message=f"{what} is not valid here", hint=hint)
    if kind == "string_pattern_mismatch":
        hint = not_matching(detail["ctx"]["pattern"], value)
        return Problem(path=path, message=f"{what} is not valid here", hint=hint)
    return _plain_words(detail, path, value, what)


def _plain_words(detail: ErrorDetails, path: str, value: object, what: str) -> Problem:
    kind = detail["type"]
    if kind in _BOUNDS:
        message = _BOUNDS[kind].format(**detail["ctx"])
        small = isinstance(value, (int, float))
        hint = _SHORTEN if kind == "string_too_long" else ""
        return Problem(path=path, message=f"{message}, not {what}" if small else message, hint=hint)
    message, hint = _WANTED.get(kind.split("_", 1)[0], ("", ""))
    if not message:
        return Problem(path=path, message=detail["msg"])
    if value is None:
        return Problem(path=path, message=f"{message}, but has no value", hint=no_value(path))
    given = kind_of(value) if may_be_secret(path) or isinstance(value, (dict, list)) else f"{kind_of(value)} ({what})"
    hint = wrong_type_hint(path, value, _hint_for(hint, value))
    return Problem(path=path, message=f"{message}, not {given}", hint=hint)


def _hint_for(hint: str, value: object) -> str:
    """Return the hint, without advice to quote what cannot be quoted."""
    return "" if hint == _WANTED["string"][1] and isinstance(value, (dict, list)) else hint


def _without_form(location: Sequence[int | str]) -> list[int | str]:
    """Return a location without the parts that pydantic adds.

    It adds one for the form of a fault, and one for the form of stability.
    """
    parts = list(location)
    if len(parts) > 3 and parts[0] == "services" and parts[2] == "fault":
        del parts[3]
    if len(parts) > 2 and parts[:2] == ["system", "stability"]:
        del parts[2]
    return parts


def _shape(parts: Sequence[int | str]) -> str:
    """Return a path without positions: `services[].fault`."""
    return path_of(["[]" if isinstance(part, int) else part for part in parts]).replace(".'[]'", "[]")


def _fault_hint(value: object) -> str:
    given = [value] if isinstance(value, str) else list(value)[:_FEW] if isinstance(value, dict) else []
    called = next((meant for word in given if (meant := other_name("services[].fault", word))), None)
    if called:
        return f"the name here is {called}: write {'{delay: 3s}' if called == 'delay' else called}"
    if isinstance(value, str):
        words: Sequence[str] = ("remove", "error")
    else:
        words = list(FAULT_FIELDS)
        value = next((name for name in value if near(name, words)), None) if isinstance(value, dict) else None
    found = near(value, words)
    return did_you_mean(found) if found else FAULT_HINT


def _unknown_hint(name: str, model: type[BaseModel], parts: Sequence[int | str], raw: object) -> str:
    """Suggest the nearest field, or the section where this field belongs."""
    if parts and parts[-1] == "fault" and name in FAULT_FIELDS:
        return "a fault has one form: delay, remove, error, or type with experiment"
    fields = field_names(model, parts, raw)
    if (meant := other_name(path_of(parts), name)) is not None:
        return f"the name here is {meant}"
    if name in OUR_SETTINGS:
        return f"'{name}' belongs under {OUR_SETTINGS[name].section}"
    if near(name, fields) is None:
        for section, field in model.model_fields.items():
            elsewhere = models_in(field.annotation)
            if len(elsewhere) == 1 and [section] != list(parts) and name in elsewhere[0].model_fields:
                return f"'{name}' belongs under {section}"
    originals = [their_name for their_name, ours in OUR_SETTINGS.items() if [ours.section] == list(parts)]
    hint = suggestion(name, originals if near(name, fields) is None and near(name, originals) else fields)
    return (
        f"{hint}; anything more is an experiment: {FULL_FAULT}" if fields in (["delay"], ["remove", "error"]) else hint
    )
