"""What the model knows about a place of a document: its fields, the value there, and what it is for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel

from domain.plans.plan import Plan

_STEP = re.compile(r"[^.\[\]']+")
_REFERENCE = " (`"
"""What follows names a document of ours."""
_LOOK = "examples/shop.yaml has an example"


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for one in get_args(annotation) for found in models_in(one)]


def models_at(model: type[BaseModel], parts: Sequence[int | str]) -> list[type[BaseModel]]:
    """The models that a part of the document may be: one, or the forms of a fault."""
    current = [model]
    for part in parts:
        if not isinstance(part, int):
            fields = [
                field for one in current for name, field in one.model_fields.items() if part in (name, field.alias)
            ]
            current = [found for field in fields for found in models_in(field.annotation)]
    return current


def field_names(model: type[BaseModel], parts: Sequence[int | str], raw: object) -> list[str]:
    """The names of the fields of a part of the document; of a fault, those of the form that it has."""
    here = models_at(model, parts)
    if len(here) > 1:
        value = value_at(raw, parts)
        here = [one for one in here if isinstance(value, dict) and any(key in one.model_fields for key in value)]
    return [field.alias or name for one in here for name, field in one.model_fields.items()]


def value_at(raw: object, parts: Sequence[int | str]) -> object:
    """The value at a place; None where there is none."""
    value: Any = raw
    for part in parts:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def purpose(path: str, model: type[BaseModel] = Plan) -> str:
    """What the field at a path is for, in the model's own words: a hint where there is no better one."""
    current, said = [model], ""
    for step in _STEP.findall(path):
        if step.isdecimal():
            continue
        fields = [field for one in current for name, field in one.model_fields.items() if step in (name, field.alias)]
        if not fields:
            break
        said = next((field.description for field in fields if field.description), said)
        current = [found for field in fields for found in models_in(field.annotation)]
    sentence = " ".join(said.split()).partition(". ")[0].partition(_REFERENCE)[0].rstrip(".")
    return f"meant here: {sentence[:1].lower()}{sentence[1:]}" if sentence else _LOOK
