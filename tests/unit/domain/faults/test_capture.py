"""Replayed answers become captured failures and rules."""

import json

import pytest

from domain.faults.capture import build_rules, captured_answers, has_effect, real_status
from domain.traffic.exchange import CapturedAnswer, RecordedExchange, ReplayedAnswer


def recorded(path: str = "/api/x%20y", body: str = '{"ok": 1}', position: int = 0) -> RecordedExchange:
    return RecordedExchange(
        service="s",
        position=position,
        method="GET",
        url=f"http://s:80{path}?q=1",
        path=path,
        response_status=200,
        response_body=body,
    )


def replayed(status: int = 0, message: str = "", body: str = "", path: str = "/api/x%2520y") -> ReplayedAnswer:
    return ReplayedAnswer(
        url=f"http://localhost:4711{path}?q=1", method="GET", status=status, body=body, error_message=message
    )


@pytest.mark.parametrize(
    ("answer", "status", "substituted"),
    [
        (replayed(200), 200, False),
        (replayed(302), 302, False),
        (replayed(0, "503 Service Unavailable: ..."), 503, False),
        (replayed(0, " 404 Not Found"), 404, False),
        (replayed(0, 'I/O error on GET request for "http://localhost:41873/a": Connection refused'), 504, True),
        (replayed(0, "Read timed out after 500 ms"), 504, True),
        (replayed(0, "5031 is no status"), 504, True),
        (replayed(0, ""), 504, True),
        (replayed(100), 504, True),
    ],
)
def test_the_real_status_is_found_or_substituted(answer: ReplayedAnswer, status: int, substituted: bool) -> None:
    """A 0 is never stored. The status is read from the message, or the plan's substitute is used and marked as such."""
    assert real_status(answer, 504) == (status, substituted)


def test_a_captured_answer_has_the_raw_recorded_path() -> None:
    """The proxy encodes a replayed path twice. A rule must match the path on the wire."""
    (captured,) = captured_answers("s", [replayed(0, "500 x")], [recorded()], 503)
    assert captured.path == "/api/x%20y"
    assert captured.status == 500


@pytest.mark.parametrize(
    ("answer", "no_effect"),
    [
        (replayed(200, body='{ "ok":1 }'), True),
        (replayed(200, body='{"ok": 2}'), False),
        (replayed(201, body='{"ok": 1}'), False),
        (replayed(0, "refused"), False),
    ],
)
def test_an_answer_equal_to_the_healthy_one_shows_no_effect(answer: ReplayedAnswer, no_effect: bool) -> None:
    """With an equal status and an equal JSON value, the fault changed nothing."""
    (captured,) = captured_answers("s", [answer], [recorded()], 503)
    assert captured.no_effect is no_effect
    assert has_effect([captured]) is not no_effect


def test_answers_without_a_recorded_request_are_left_out() -> None:
    """Lists of different length are matched by method and path.

    A rule for an answer without a match would serve nobody.
    """
    answers = [replayed(0, "500", path="/api/other"), replayed(0, "502", path="/api/b")]
    captured = captured_answers("s", answers, [recorded("/api/b")], 503)
    assert [(capture.path, capture.status) for capture in captured] == [("/api/b", 500), ("/api/b", 502)]
    post = replayed(0, "500").model_copy(update={"method": "POST"})
    assert captured_answers("s", [post], [recorded("/api/b")], 503) == []


def answer(path: str, status: int = 500, *, no_effect: bool = False, body: str = "{}") -> CapturedAnswer:
    return CapturedAnswer(
        service="s",
        position=0,
        method="GET",
        url="u",
        path=path,
        status=status,
        body=body,
        no_effect=no_effect,
        headers={"Content-Type": "application/json", "Set-Cookie": "x"},
    )


def test_a_service_gets_a_canary_rule_and_one_rule_per_path() -> None:
    """The first recorded answer of a path wins, as in the proxy. All rules have the same token."""
    rules = build_rules("hf1x", "s", "t=1", [answer("/a", 500), answer("/a", 502), answer("/b")])
    assert [(rule.method, rule.path, rule.status) for rule in rules] == [
        ("GET", "/__holdfast/hf1x", 200),
        ("GET", "/a", 500),
        ("GET", "/b", 500),
    ]
    assert {rule.token for rule in rules} == {"t=1"}
    assert json.loads(rules[0].body) == {"holdfast": "hf1x", "service": "s"}
    assert rules[1].headers == {"Content-Type": "application/json"}


def test_answers_that_the_fault_did_not_change_get_no_rule() -> None:
    """The service answers such requests itself, as it did under the fault."""
    rules = build_rules("hf1x", "s", "t=1", [answer("/a", no_effect=True), answer("/b")])
    assert [rule.path for rule in rules] == ["/__holdfast/hf1x", "/b"]
