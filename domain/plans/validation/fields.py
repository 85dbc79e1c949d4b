"""What the model knows about a place in a document.

That is its fields, the value there, and what it is for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel

from domain.plans.plan import Plan

_STEP = re.compile(r"[^.\[\]']+")
_REFERENCE = " (`"
"""Start of a reference to one of our documents."""
_LOOK = "examples/shop.yaml has an example"


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in models_in(argument)]


def models_at(model: type[BaseModel], parts: Sequence[int | str]) -> list[type[BaseModel]]:
    """Return the models that a part of the document may have.

    Usually this is a single model; for a fault, the model of each form.
    """
    current = [model]
    for part in parts:
        if not isinstance(part, int):
            fields = [
                field
                for candidate in current
                for name, field in candidate.model_fields.items()
                if part in (name, field.alias)
            ]
            current = [found for field in fields for found in models_in(field.annotation)]
    return current


def field_names(model: type[BaseModel], parts: Sequence[int | str], raw: object) -> list[str]:
    """Return the names of the fields of a part of the document.

    For a fault, these are the fields of the form that it has.
    """
    here = models_at(model, parts)
    if len(here) > 1:
        value = value_at(raw, parts)
        here = [
            candidate
            for candidate in here
            if isinstance(value, dict) and any(key in candidate.model_fields for key in value)
        ]
    return [field.alias or name for candidate in here for name, field in candidate.model_fields.items()]


def value_at(raw: object, parts: Sequence[int | str]) -> object:
    """Return the value at a place; None if there is none."""
    value: Any = raw
    for part in parts:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def purpose(path: str, model: type[BaseModel] = Plan) -> str:
    """Describe what the field at a path is for.

    The words are the model's own. They serve as a hint where there is no better one.
    """
    current, description = [model], ""
    for step in _STEP.findall(path):
        if step.isdecimal():
            continue
        fields = [
            field
            for candidate in current
            for name, field in candidate.model_fields.items()
            if step in (name, field.alias)
        ]
        if not fields:
            break
        description = next((field.description for field in fields if field.description), description)
        current = [found for field in fields for found in models_in(field.annotation)]
    sentence = " ".join(description.split()).partition(". ")[0].partition(_REFERENCE)[0].rstrip(".")
    return f"meant here: {sentence[:1].lower()}{sentence[1:]}" if sentence else _LOOK
