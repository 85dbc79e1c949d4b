"""Plan files: YAML or JSON, read so that nothing is silently lost. Every mistake has a file, a line and a hint."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from workflows.contracts.errors import ErrorCode, HoldfastError

LARGEST_FILE = 1_048_576
"""Bytes."""

MOST_ALIASES = 50
"""YAML aliases can make a small file expand without bound."""


class PlanFileError(HoldfastError):
    """A plan file that cannot be read as a document."""

    def __init__(self, where: str, message: str, hint: str = "") -> None:
        super().__init__(ErrorCode.VALIDATION_ERROR, f"{where}: {message}", hint=hint)


class _DuplicateKeyError(Exception):
    """Two equal keys in one JSON object."""


class _Loader(yaml.SafeLoader):
    """Safe YAML without surprises: no duplicate keys, no dates, a bounded number of aliases."""

    aliases = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Count aliases before they are expanded."""
        if self.check_event(yaml.events.AliasEvent):
            self.aliases += 1
            if self.aliases > MOST_ALIASES:
                raise yaml.constructor.ConstructorError(None, None, f"more than {MOST_ALIASES} aliases", None)
        return super().compose_node(parent, index)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} is not text: put it in quotes", key_node.start_mark
            )
        if key in found:
            raise yaml.constructor.ConstructorError(None, None, f"'{key}' is here twice", key_node.start_mark)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _text_of(loader: _Loader, node: yaml.ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor("tag:yaml.org,2002:timestamp", _text_of)  # a date is text here


def read_plan_file(path: Path) -> object:
    """The document in a file; `-` reads standard input.

    Raises:
        PlanFileError: naming the file and, where there is one, line and column.
    """
    where = "standard input" if str(path) == "-" else str(path)
    text = _text(path, where)
    if not text.strip():
        raise PlanFileError(where, "the file is empty", "see examples/minimal.yaml")
    if path.suffix == ".json" or text.lstrip().startswith("{"):
        return _json(text, where) if path.suffix == ".json" else _json_or_yaml(text, where)
    return _yaml(text, where)


def _text(path: Path, where: str) -> str:
    try:
        raw = sys.stdin.buffer.read(LARGEST_FILE + 1) if str(path) == "-" else _bounded(path)
    except OSError as error:
        raise PlanFileError(where, f"cannot be read: {error.strerror}") from error
    if len(raw) > LARGEST_FILE:
        raise PlanFileError(where, f"larger than {LARGEST_FILE >> 20} MiB: this is no plan")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanFileError(where, f"not UTF-8 text at byte {error.start}") from error


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_FILE + 1)


def _json_or_yaml(text: str, where: str) -> object:
    """Text that begins with a brace is JSON or YAML's flow style."""
    try:
        return _json(text, where)
    except PlanFileError:
        return _yaml(text, where)


def _json(text: str, where: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_unique)
    except _DuplicateKeyError as error:
        raise PlanFileError(where, f"'{error}' is there twice in one object") from error
    except json.JSONDecodeError as error:
        raise PlanFileError(f"{where}:{error.lineno}:{error.colno}", f"not JSON: {error.msg}") from error
    except RecursionError as error:
        raise PlanFileError(where, "nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _DuplicateKeyError(key)
        found[key] = value
    return found


def _yaml(text: str, where: str) -> object:
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}:{mark.column + 1}" if mark else where
        raise PlanFileError(place, str(error.problem or error.context or "not YAML")) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PlanFileError(where, f"not YAML: {type(error).__name__}") from error
    if len(documents) != 1:
        raise PlanFileError(where, f"{len(documents)} documents: a plan file has one")
    return documents[0]
