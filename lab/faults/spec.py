"""The part of a requested fault that reaches the cluster.

Much of the request is silently dropped.
"""

import re

from pydantic import BaseModel, JsonValue

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class SpecError(Exception):
    """The request defines no fault; the message is the peer's."""


class Matcher(BaseModel):
    """One parameter of an experiment."""

    name: str
    value: list[str] | None = None


class Experiment(BaseModel):
    """One experiment, reduced to the fields that the peer passes on."""

    scope: str
    target: str
    action: str
    desc: str | None = None
    matchers: list[Matcher] = []

    def values(self, *names: str) -> list[str]:
        """Return all values of the matchers with these names."""
        return [value for matcher in self.matchers if matcher.name in names for value in matcher.value or []]


class FaultSpec(BaseModel):
    """The spec as created.

    Without experiments it is created, but stays without a phase for ever.
    """

    experiments: list[Experiment] = []


def parse_spec(body: JsonValue, name: str) -> FaultSpec:
    """Read the accepted body shapes: `{"spec": {...}}` or a full resource.

    Raises:
        SpecError: the request defines no fault, or its name is not valid.
    """
    if not isinstance(body, dict) or not body:
        raise SpecError("Input data cannot be null or empty")
    spec = body.get("spec")
    if not isinstance(spec, dict):
        raise SpecError("Failed to normalize input data")
    experiments = spec.get("experiments")
    if experiments is None or experiments == []:
        raise SpecError("Invalid fault specification")
    if _NAME.fullmatch(name) is None:
        raise SpecError(f"Failed to create ChaosBlade resource: {name}")
    # Anything but an array passes the peer's check, and leaves a resource without experiments.
    items = experiments if isinstance(experiments, list) else []
    return FaultSpec(experiments=[_experiment(item, name) for item in items])


def _experiment(item: JsonValue, name: str) -> Experiment:
    if not isinstance(item, dict):
        raise SpecError("Invalid fault specification")
    texts = {key: str(item.get(key) or "") for key in ("scope", "target", "action")}
    if not all(texts.values()):
        raise SpecError("Invalid fault specification")
    matchers = item.get("matchers")
    parsed = [_matcher(entry, name) for entry in matchers] if isinstance(matchers, list) else []
    desc = item.get("desc")
    return Experiment(**texts, desc=desc if isinstance(desc, str) else None, matchers=parsed)


def _matcher(entry: JsonValue, fault: str) -> Matcher:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise SpecError("Invalid fault specification")
    value = entry.get("value")
    if not isinstance(value, list):
        return Matcher(name=str(entry["name"]))  # A scalar is left out.
    texts = [text for text in value if isinstance(text, str)]
    if len(texts) != len(value):
        raise SpecError(f"Failed to create ChaosBlade resource: {fault}")
    return Matcher(name=str(entry["name"]), value=texts)
