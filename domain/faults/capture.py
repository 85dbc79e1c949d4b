"""Captured failures, and the rules made from them.

Turns the answers that the proxy replayed into a service's failure, and that into rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from domain.traffic.exchange import CapturedAnswer, RecordedExchange, ReplayedAnswer, Rule

_ORIGIN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_LEADING_STATUS = re.compile(r"\s*([1-5]\d\d)\b")

CANARY_PREFIX = "/__holdfast/"


def canary_path(record_id: str) -> str:
    """Return a path that no service has: only our rules answer it."""
    return CANARY_PREFIX + record_id


def canary_body(record_id: str, service: str) -> str:
    """Return the unmistakable answer of a service's canary rule."""
    return json.dumps({"holdfast": record_id, "service": service}, separators=(",", ":"))


def real_status(answer: ReplayedAnswer, substitute: int) -> tuple[int, bool]:
    """Return an answer's real status, and whether it is the substitute.

    The proxy reports any 4xx, 5xx or connection error as 0. The real status, if there was one, leads its error text. A
    rule must never have status 0: the proxy would turn it into 500 with a body of its own (`peer-contract` property
    13).
    """
    if answer.status is not None and 200 <= answer.status <= 599:
        return answer.status, False
    match = _LEADING_STATUS.match(answer.error_message)
    if match and 200 <= int(match[1]) <= 599:
        return int(match[1]), False
    return substitute, True


def has_no_result(answer: ReplayedAnswer) -> bool:
    """Return whether the proxy reports neither a status nor an error.

    A failure made from such an answer would be invented.
    """
    return answer.status is None and not answer.error_message


def same_answer(status: int, body: str, healthy: RecordedExchange) -> bool:
    """Return whether an answer equals the healthy one.

    JSON bodies are compared as values.
    """
    return status == healthy.response_status and _parsed_body(body) == _parsed_body(healthy.response_body)


def _parsed_body(body: str) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body.strip()


def raw_path(url: str) -> str:
    """Return the path exactly as written."""
    # Not `urlsplit`: it drops some characters, and raises for some hosts.
    return re.split(r"[?#]", _ORIGIN.sub("", url, count=1), maxsplit=1)[0] or "/"


def _recorded_request(
    answer: ReplayedAnswer, position: int, recorded: Sequence[RecordedExchange]
) -> RecordedExchange | None:
    """Return the recorded request that was replayed.

    It has the same place and method or, if the lists differ, the same method and path.
    """
    if position < len(recorded) and recorded[position].method == answer.method:
        return recorded[position]
    path = raw_path(answer.url)
    return next((exchange for exchange in recorded if exchange.method == answer.method and exchange.path == path), None)


def captured_answers(
    service: str, answers: Sequence[ReplayedAnswer], recorded: Sequence[RecordedExchange], substitute: int
) -> list[CapturedAnswer]:
    """Turn every replayed answer into a captured failure."""
    captured = []
    for position, answer in enumerate(answers):
        healthy = _recorded_request(answer, position, recorded)
        # The request was not recorded, so no rule made from its answer would ever act.
        if healthy is None:
            continue
        status, substituted = real_status(answer, substitute)
        captured.append(
            CapturedAnswer(
                service=service,
                position=position,
                method=answer.method,
                url=healthy.url,
                # The recorded path, raw: the proxy encodes a replayed path a second time (`peer-contract` section 3.2).
                path=healthy.path,
                status=status,
                headers={name: values[0] for name, values in answer.headers.items() if values},
                body=answer.body,
                substituted=substituted,
                # A fault may change nothing.
                no_effect=not substituted and same_answer(status, answer.body, healthy),
                error_message=answer.error_message,
            )
        )
    return captured


def has_effect(captured: Sequence[CapturedAnswer]) -> bool:
    """Return whether the fault changed any answer of the service."""
    return any(not answer.no_effect for answer in captured)


def build_rules(record_id: str, service: str, token: str, captured: Sequence[CapturedAnswer]) -> list[Rule]:
    """Build a service's rules: its canary, then one per method and path.

    The first recorded answer of a method and path wins, as in the proxy.
    """
    rules = [
        Rule(
            service=service,
            method="GET",
            path=canary_path(record_id),
            token=token,
            status=200,
            headers={"content-type": "application/json"},
            body=canary_body(record_id, service),
        )
    ]
    seen = set()
    for answer in captured:
        key = (answer.method, answer.path)
        # No rule where the fault changed nothing: the service answers such a request itself, as it did under the fault.
        if key in seen or answer.no_effect:
            continue
        seen.add(key)
        content = {name: value for name, value in answer.headers.items() if name.lower() == "content-type"}
        rules.append(
            Rule(
                service=service,
                method=answer.method,
                path=answer.path,
                token=token,
                status=answer.status,
                headers=content,
                body=answer.body,
            )
        )
    return rules
