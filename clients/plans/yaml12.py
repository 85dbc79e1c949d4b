"""YAML for plans, by the rules of version 1.2.

What looks like text is text, and duplicate keys are refused.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn

import yaml
from yaml.constructor import ConstructorError

MOST_ALIASES = 100
"""Maximum number of aliases in a document."""

MOST_NODES = 200_000
"""Maximum number of values and keys in a file, without expanding aliases."""


class PlanLoader(yaml.SafeLoader):
    """A loader for the core of YAML 1.2.

    It has no dates, no `yes`, no merge keys, no explicit tags, no duplicate keys, and few aliases.
    """

    yaml_implicit_resolvers = {}
    yaml_constructors = {}
    aliases = 0
    nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Count nodes and aliases, and refuse tags, before composing a node."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        self.nodes += 1
        if self.nodes > MOST_NODES:
            # Stop here rather than at the end: reading on would waste many seconds.
            _refuse(event, f"more than {MOST_NODES} values and names; a plan is far smaller")
        if isinstance(event, yaml.events.AliasEvent):
            self.aliases += 1
            if self.aliases > MOST_ALIASES:
                _refuse(event, f"more than {MOST_ALIASES} aliases")
        elif event.tag is not None:
            _refuse(event, f"the tag '{event.tag[:80]}' means nothing in a plan: leave it out")
        return super().compose_node(parent, index)

    def construct_mapping_once(self, node: yaml.MappingNode) -> dict[str, Any]:
        """Build a mapping whose keys are texts without duplicates."""
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if key == "<<":
                _refuse(key_node, "merge keys are not supported: write the fields out")
            if not isinstance(key, str):
                _refuse(key_node, "a key must be text: put it in quotes")
            if key in found:
                _refuse(key_node, f"'{key[:80]}' is given twice: only one of the two would count")
            found[key] = self.construct_object(value_node, deep=True)
        return found

    def construct_sequence_whole(self, node: yaml.SequenceNode) -> list[Any]:
        """Build a list with all its contents."""
        return [self.construct_object(item, deep=True) for item in node.value]

    def construct_number(self, node: yaml.ScalarNode) -> int:
        """Build an integer: 12, 012 (twelve), 0x1f, 0o17."""
        text = str(self.construct_scalar(node))
        base = {"0x": 16, "0o": 8}.get(text[:2], 10)
        try:
            return int(text, base)
        except ValueError:
            _refuse(node, "this number is too long: put it in quotes")


def _refuse(place: Any, message: str) -> NoReturn:
    raise ConstructorError(None, None, message, place.start_mark)


_TAG = "tag:yaml.org,2002:"
for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
):
    PlanLoader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), _first)
for _name, _construct in (
    ("null", PlanLoader.construct_yaml_null),
    ("bool", PlanLoader.construct_yaml_bool),
    ("int", PlanLoader.construct_number),
    ("float", PlanLoader.construct_yaml_float),
    ("str", PlanLoader.construct_yaml_str),
    ("map", PlanLoader.construct_mapping_once),
    ("seq", PlanLoader.construct_sequence_whole),
):
    PlanLoader.add_constructor(_TAG + _name, _construct)
