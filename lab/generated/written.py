"""Writes a topology as the file that a person would have written.

Durations have units, and defaults are left out.
"""

from collections.abc import Iterable
from typing import Any

import yaml

from lab.topology import Topology

_DURATIONS = ("latency", "timeout", "backoff")


def topology_text(topology: Topology, comments: Iterable[str] = ()) -> str:
    """Render the file's content, which reads back as the same topology.

    The comments come first, one on each line.
    """
    content = topology.model_dump(mode="json", exclude_defaults=True)
    content["services"] = [_service(service) for service in content["services"]]
    return commented(content, comments)


def commented(content: dict[str, Any], comments: Iterable[str]) -> str:
    """Render `content` as YAML in its order, below the comments.

    Each comment is on a line of its own.
    """
    head = "".join(f"# {line}".rstrip() + "\n" for line in comments)
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def _service(service: dict[str, Any]) -> dict[str, Any]:
    return _with_units({**service, "calls": [_with_units(call) for call in service.get("calls", [])]})


def _with_units(part: dict[str, Any]) -> dict[str, Any]:
    durations = {name: _duration(part[name]) for name in _DURATIONS if name in part}
    return {name: value for name, value in (part | durations).items() if value != []}


def _duration(seconds: float) -> str:
    return f"{seconds:g}s" if seconds >= 1 else f"{seconds * 1000:g}ms"
