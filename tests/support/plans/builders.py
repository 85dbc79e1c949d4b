"""Builders of plans with one mistake, and the problems that validation reports."""

from typing import Any

from domain.plans.validation.validate import check_plan

SECRET = "hunter2-correct-horse"  # noqa: S105 - what must not be echoed
FULL = {
    "type": "cpu",
    "experiment": {"scope": "pod", "target": "cpu", "action": "load", "matchers": {"cpu-percent": ["80"]}},
}


def good() -> dict[str, Any]:
    return {
        "holdfast": 1,
        "name": "shop",
        "system": {
            "namespace": "shop",
            "proxy": "http://127.0.0.1:18105",
            "faults": "http://127.0.0.1:18103",
            "services": {"reviews": "http://127.0.0.1:18083", "shipping": "http://127.0.0.1:18084"},
        },
        "request": {"url": "http://127.0.0.1:18080/api/home", "headers": {"accept": "application/json"}},
        "services": [{"name": "reviews", "fault": "remove"}, {"name": "shipping", "fault": {"delay": "3s"}}],
        "load": {"requests": 12, "concurrency": 4},
        "slo": {"error_rate": "1%", "p95": "480ms"},
        "safety": {"fault_ttl": "10m"},
    }


class Absent:
    """Marker for a field to remove.

    It has a fixed name, so that parallel test processes agree on the ids of tests.
    """

    def __repr__(self) -> str:
        return "absent"


MISSING = Absent()


def changed(place: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """Return the good plan with one value replaced, or left out."""
    plan: Any = good()
    inner = plan
    for part in place[:-1]:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else inner[part]
    if value is MISSING:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return plan


def problems(raw: object) -> dict[str, str]:
    plan, found = check_plan(raw)
    assert (plan is None) == bool(found)
    return {problem.path: f"{problem.message} | {problem.hint}" for problem in found}


def experiment(**more: Any) -> dict[str, Any]:
    return {"type": "cpu", "experiment": FULL["experiment"] | more}  # type: ignore[operator]


FAULT = ("services", 0, "fault")
