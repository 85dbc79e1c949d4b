"""A typo is reported as one problem and hides no other problem."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.plans.builders import MISSING, changed, good, problems

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
    """It is not also reported as missing, and no other rule fails because of it.

    Its content is validated all the same.
    """
    document = {name: value for name, value in (good() | changes).items() if value is not MISSING}
    found = problems(document)
    assert len(found) == len(paths), found
    assert all(any(path.startswith(expected) for path in found) for expected in paths), found


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
def test_a_unit_in_words_gets_a_hint_with_the_right_unit(text: str, hint: str) -> None:
    """An ambiguous unit, such as `M`, gets the list of units."""
    assert hint in problems(changed(("slo", "p95"), text))["slo.p95"]


def test_only_the_first_twenty_typos_get_a_suggestion() -> None:
    """A workflow must not compute for seconds, and after twenty corrected typos the pattern is clear."""
    names = [f"s{number}-service-of-the-shop" for number in range(60)]
    document = good()
    document["system"]["services"] = dict.fromkeys(names, "http://127.0.0.1")
    document["system"]["stability"] = {"kind": "kubernetes", "workloads": {f"{name}x": "a" for name in names}}
    document["services"] = [{"name": f"{name}x", "fault": "remove"} for name in names]
    document["exclude"] = [f"{name}y" for name in names]
    found = problems(document)
    assert len(found) == 180
    for part in ("services[", "exclude[", "system.stability"):
        hints = [words.partition(" | ")[2] for path, words in found.items() if path.startswith(part)]
        assert len(hints) == 60
        assert sum("did you mean" in hint for hint in hints) == 20
        assert all(hints)


def test_suggestions_are_printed_without_control_characters() -> None:
    """They come from the plan, so a terminal must not obey them."""
    document = good()
    document["system"]["services"] = {"revi\x1b[2Jews": "http://127.0.0.1", "shipping": "http://127.0.0.1"}
    assert "did you mean 'revi?[2Jews'?" in problems(document)["services[0].name"]
