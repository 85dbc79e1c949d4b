"""A plan file with every setting in it.

Given settings stand as they are, and all others as comments. The comments are generated from the model, so they always
match it. `#name: value`, without a space, is a setting: with its default, or with an example (marked as such) if it has
none. `# words` is an explanation. `# name: value` is a setting that is not valid alone.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from domain.plans.plan import Plan
from domain.plans.slo import Regression
from domain.plans.system import HttpStability, KubernetesStability
from domain.plans.validation.fields import models_in
from domain.plans.validation.problems import PLACEHOLDER

_WIDTH = 110
_DEEPER = "  "

_HEAD = """\
# yaml-language-server: $schema=plan.schema.json
# (`holdfast schema --output plan.schema.json` writes that file: an editor then completes and checks what you write.)
#
# A plan for Holdfast. Lines like `#name: value` are settings that are not given: they show their default, or an example
# where they have none. To change one, remove its # and that of the line it belongs to (`#load:`). Quantities carry
# their unit: ms, s, m, h, %. Lines like `# name: value`, with a space, are settings that need others beside them,
# as noted there."""

_TOGETHER: dict[tuple[str, ...], str] = {
    ("load", "max_requests"): "with slo.regression",
    ("load", "rate"): "without concurrency",
    ("load", "arrivals"): "with rate",
    ("slo", "regression"): "with load.requests of 59 or more, for p99 of 299",
}
"""Settings that are not valid alone, and what each needs."""

_REFERENCE = re.compile(r" \(`[^()]*\)")
"""Matches a reference to one of our documents."""

_ANY = "http://127.0.0.1:1"
_LEAST: dict[str, Any] = {
    "name": "x",
    "system": {"namespace": "x", "proxy": _ANY, "faults": _ANY, "services": {"x": _ANY}},
    "request": {"url": _ANY},
    "services": [{"name": "x", "fault": "remove"}],
    "slo": {"error_rate": "1%"},
}
"""A plan with only its required fields: every other field has its default."""

Path = tuple[str, ...]


def plan_template(document: Mapping[str, Any]) -> str:
    """Return the whole plan file.

    `document` is a plan in which placeholders may stand for unknown values.
    """
    return "\n".join([_HEAD, *_Template(document).section(Plan, document, (), "")]) + "\n"


def placeholders(value: object, path: str = "") -> list[str]:
    """Return the paths of all placeholders, spelt as `validate` spells them."""
    if isinstance(value, str):
        return [path] if value == PLACEHOLDER else []
    if isinstance(value, Mapping):
        inner = [(f"{path}.{name}" if path else str(name), name, child) for name, child in value.items()]
        found = [place for where, name, child in inner for place in ([where] if name == PLACEHOLDER else [])]
        return list(
            dict.fromkeys([*found, *(place for where, _, child in inner for place in placeholders(child, where))])
        )
    if isinstance(value, list):
        return [place for number, child in enumerate(value) for place in placeholders(child, f"{path}[{number}]")]
    return []


class _Template:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._defaults = Plan.model_validate(_LEAST).model_dump(mode="json", by_alias=True)
        self._defaults["slo"]["regression"] = Regression().model_dump(mode="json")
        self._examples = _examples(document)

    def section(
        self, model: type[BaseModel], given: Mapping[str, Any] | None, path: Path, indent: str
    ) -> Iterator[str]:
        """Yield every field of a model, as comments where not given."""
        for name, field in model.model_fields.items():
            key = field.alias or name
            here = (*path, key)
            if not path:
                yield ""
            is_example = here in self._examples and not (given and key in given)
            yield from _explained(field, indent, example=is_example, needs=_TOGETHER.get(here, ""))
            if given and key in given:
                yield from self._given(field, given[key], here, indent)
            else:
                yield from self._commented(field, here, indent)

    def _given(self, field: FieldInfo, value: Any, here: Path, indent: str) -> Iterator[str]:
        key = here[-1]
        models = models_in(field.annotation)
        if here == ("services",):
            yield f"{indent}{key}:"
            for number, item in enumerate(value):
                yield from self._item(models[0], item, here, explained=number == 0)
        elif isinstance(value, Mapping) and len(models) == 1:
            yield f"{indent}{key}:"
            yield from self.section(models[0], value, here, indent + _DEEPER)
        elif isinstance(value, Mapping) and value:
            yield f"{indent}{key}:"
            yield from (f"{indent}{_DEEPER}{_flow(name)}: {_flow(child)}" for name, child in value.items())
        else:
            yield f"{indent}{key}: {_flow(value)}"

    def _item(self, model: type[BaseModel], item: Mapping[str, Any], path: Path, *, explained: bool) -> Iterator[str]:
        """Yield one service under test. Only the first explains its fields."""
        for name, field in model.model_fields.items():
            first = name == "name"
            is_example = name not in item and (*path, name) in self._examples
            if is_example and not explained:
                continue
            if explained:
                yield from _explained(field, _DEEPER if first else _DEEPER * 2, example=is_example)
            sign = "" if name in item else "#"
            yield f"{_DEEPER}{'- ' if first else '  '}{sign}{name}: {_flow(item.get(name, self._shown((*path, name))))}"

    def _commented(self, field: FieldInfo, here: Path, indent: str) -> Iterator[str]:
        models = models_in(field.annotation)
        sign = "# " if here[:2] in _TOGETHER else "#"
        if here == ("system", "stability"):
            yield from self._stability(here, indent)
        elif here in self._examples:
            yield f"{indent}{sign}{here[-1]}: {_flow(self._examples[here])}"
        elif models:
            yield f"{indent}{sign}{here[-1]}:"
            yield from self.section(models[0], None, here, indent + _DEEPER)
        else:
            yield f"{indent}{sign}{here[-1]}: {_flow(self._default(here))}"

    def _stability(self, here: Path, indent: str) -> Iterator[str]:
        """Yield both kinds of stability check to choose from, the default first."""
        for model in (HttpStability, KubernetesStability):
            if model is KubernetesStability:
                yield f"{indent}# Or:"
                self._defaults["system"]["stability"] = KubernetesStability(kind="kubernetes").model_dump(mode="json")
            yield f"{indent}#stability:"
            yield from self.section(model, None, here, indent + _DEEPER)

    def _shown(self, here: Path) -> Any:
        return self._examples[here] if here in self._examples else self._default(here)

    def _default(self, here: Path) -> Any:
        value: Any = self._defaults
        for part in here:
            value = value[0][part] if isinstance(value, list) else value[part]
        return value


def _explained(field: FieldInfo, indent: str, *, example: bool = False, needs: str = "") -> list[str]:
    """Return what a field or section is for, in the model's words.

    References to our documents are left out: they lead nowhere from a plan file.
    """
    models = models_in(field.annotation)
    words = field.description or (models[0].__doc__ if models else "") or ""
    ending = f" Example, {needs}:" if needs else " Example:" if example else ""
    text = _REFERENCE.sub("", " ".join(words.split())) + ending
    start = f"{indent}# "
    return textwrap.wrap(text, _WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def _examples(document: Mapping[str, Any]) -> dict[Path, Any]:
    """Return examples for fields whose default is missing or empty.

    An empty default would show nothing.
    """
    names = [service["name"] for service in document["services"]]
    pair = "+".join(sorted(names)[:2]) if len(names) > 1 else "cart+payment"
    return {
        ("description",): "What do customers see when a service behind the page fails?",
        ("team",): "checkout",
        ("system", "environment"): "staging",
        ("system", "stability", "workloads"): {names[0]: f"{names[0]}-v2"},
        ("request", "headers"): {"accept": "application/json", "authorization": "Bearer ${env:MY_TOKEN}"},
        ("request", "query"): {"page": 1},
        ("request", "json"): {"quantity": 1},
        ("request", "form"): {"quantity": 1},
        ("request", "raw"): "quantity 1",
        ("request", "connect_timeout"): "1s",
        ("request", "read_timeout"): "5s",
        ("request", "login"): {
            "url": urljoin(document["request"]["url"], "/login"),
            "json": {"user": "me", "password": "${env:MY_PASSWORD}"},
            "token": "access_token",
        },
        ("slo", "p50"): "200ms",
        ("slo", "p95"): "500ms",
        ("slo", "p99"): "1s",
        ("slo", "error_rate"): "1%",
        ("slo", "relative_to_baseline", "p50"): "120%",
        ("slo", "relative_to_baseline", "p95"): "150%",
        ("slo", "relative_to_baseline", "p99"): "200%",
        ("slo", "overrides"): [{"for": names[0], "budget": "2s"}],
        ("load", "max_requests"): 2000,
        ("load", "rate"): "20/s",
        ("load", "arrivals"): "poisson",
        ("load", "warm_up"): 100,
        ("services", "calls"): [],
        ("exclude",): [{"case": pair, "reason": "known to be too slow"}],
        ("steady_state", "within"): "2s",
        ("steady_state", "status"): [200],
        ("steady_state", "body_contains"): "in stock",
        ("safety", "allowed_namespaces"): [document["system"]["namespace"]],
        ("redact",): ["x-session", "password"],
    }


def _flow(value: Any) -> str:
    """Format a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000).removesuffix("\n...\n").strip()
