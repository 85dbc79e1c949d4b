"""Every address in a plan, found by the types of its fields.

A new field with an address therefore cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from domain.plans.plan import Plan
from domain.plans.request import IsAddress
from domain.plans.validation.wording import path_of

EACH = "*"
"""Stands for any key or entry in a place. It matches every key of a mapping and every entry of a list."""

Place = tuple[str, ...]


@cache
def address_places(model: type[BaseModel] = Plan) -> tuple[Place, ...]:
    """Return the places in a model's documents that hold addresses.

    A place consists of field names, with `EACH` for keys and entries.
    """
    return tuple(dict.fromkeys(_of_model(model, ())))


def addresses_in(document: object) -> Iterator[tuple[str, object]]:
    """Yield every address in a plan document, with its path.

    In a broken document, a value at such a place may have any type.
    """
    for place in address_places():
        for parts, value in _values_at(document, place, ()):
            yield path_of(parts), value


def _of_model(model: type[BaseModel], within: tuple[type[BaseModel], ...]) -> Iterator[Place]:
    if model in within:
        return
    for name, field in model.model_fields.items():
        if any(isinstance(item, IsAddress) for item in field.metadata):
            yield (field.alias or name,)
        for rest in _of_annotation(field.annotation, (*within, model)):
            yield (field.alias or name, *rest)


def _of_annotation(annotation: Any, within: tuple[type[BaseModel], ...]) -> Iterator[Place]:
    """Yield the places below a field; empty if it is an address."""
    origin = get_origin(annotation)
    arguments = get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _of_model(annotation, within)
    elif origin is Annotated:
        if any(isinstance(item, IsAddress) for item in arguments[1:]):
            yield ()
        yield from _of_annotation(arguments[0], within)
    elif isinstance(origin, type) and issubclass(origin, dict | list | tuple | set | frozenset):
        for argument in arguments:
            yield from ((EACH, *rest) for rest in _of_annotation(argument, within))
    else:
        for argument in arguments:
            yield from _of_annotation(argument, within)


def _values_at(
    value: Any, place: Place, above: tuple[int | str, ...]
) -> Iterator[tuple[tuple[int | str, ...], object]]:
    if not place:
        if value is not None:
            yield above, value
        return
    first, *rest = place
    inner: list[tuple[int | str, Any]] = []
    if first != EACH:
        inner = [(first, value[first])] if isinstance(value, dict) and first in value else []
    elif isinstance(value, dict):
        inner = [(str(key), child) for key, child in value.items()]
    elif isinstance(value, list):
        inner = list(enumerate(value))
    for part, child in inner:
        yield from _values_at(child, tuple(rest), (*above, part))
