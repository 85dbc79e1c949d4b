"""A typo is one problem, and hides no other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.logic.test_validation import MISSING, changed, good, problems

LOCAL = ["127.0.0.1", "localhost"]
ELSEWHERE = {"url": "http://shop.example/"}
MISSPELT: list[tuple[dict[str, Any], list[str]]] = [
    ({"slos": good()["slo"], "slo": MISSING}, ["slos"]),
    ({"slo": {"p59": "1s"}}, ["slo.p59"]),
    ({"services": [{"name": "reviews", "falt": "remove"}]}, ["services[0].falt"]),
    ({"services": [{"name": "reviews", "fault": {"dealy": "3s"}}]}, ["services[0].fault"]),
    ({"request": {"url": "http://127.0.0.1/", "method": "POST", "repeatble": True}}, ["request.repeatble"]),
    ({"request": ELSEWHERE, "safety": MISSING, "saftey": {"allowed_hosts": [*LOCAL, "shop.example"]}}, ["saftey"]),
    ({"request": ELSEWHERE, "safety": {"alowed_hosts": LOCAL}}, ["request.url", "safety.alow"]),
    ({"safety": MISSING, "saftey": {"fault_ttl": "1m", "fault_tl": 3}}, ["saftey.fault_tl", "saftey", "saftey.fault"]),
    ({"loads": {"requests": "many"}, "load": MISSING}, ["loads", "loads.requests"]),
    ({"loads": {"requests": 3}}, ["loads"]),
    ({"nmae": "a", "naem": "b", "name": MISSING}, ["nmae", "naem"]),
]


@pytest.mark.parametrize(("changes", "paths"), MISSPELT, ids=lambda value: str(value)[:40])
def test_a_misspelt_field_is_one_problem(changes: dict[str, Any], paths: list[str]) -> None:
    """Not also a missing one, nor a rule that it would have kept; what is inside it is looked at all the same."""
    document = {name: value for name, value in (good() | changes).items() if value is not MISSING}
    found = problems(document)
    assert len(found) == len(paths), found
    assert all(any(path.startswith(told) for path in found) for told in paths), found


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("5sec", "'5s'"),
        ("2 minutes", "'2m'"),
        ("0.5 Hours", "'0.5h'"),
        ("250 msec", "'250ms'"),
        ("3M", "ms, s, m or h"),
    ],
)
def test_a_unit_in_words_is_understood(text: str, hint: str) -> None:
    """And told in ours; one that may mean two things is not."""
    assert hint in problems(changed(("slo", "p95"), text))["slo.p95"]
