"""From what the proxy replayed to what a service's failure looks like, and from that to rules."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from domain.traffic.exchange import CapturedAnswer, RecordedExchange, ReplayedAnswer, Rule

_ORIGIN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_LEADING_STATUS = re.compile(r"\s*([1-5]\d\d)\b")

CANARY_PREFIX = "/__holdfast/"


def canary_path(record_id: str) -> str:
    """A path that no service has: answered only by our own rules."""
    return CANARY_PREFIX + record_id


def canary_body(record_id: str, service: str) -> str:
    """The unmistakable answer of a service's canary rule."""
    return json.dumps({"holdfast": record_id, "service": service}, separators=(",", ":"))


def real_status(answer: ReplayedAnswer, substitute: int) -> tuple[int, bool]:
    """The status of a replayed answer, and whether the substitute stands for it.

    The proxy reports any 4xx, 5xx or connection error as 0; the real status, if there was one, leads its error text.
    0 must never reach a rule: the proxy would turn it into 500 with a body of its own (`peer-contract` property 13).
    """
    if answer.status is not None and 200 <= answer.status <= 599:
        return answer.status, False
    match = _LEADING_STATUS.match(answer.error_message)
    if match and 200 <= int(match[1]) <= 599:
        return int(match[1]), False
    return substitute, True


def says_nothing(answer: ReplayedAnswer) -> bool:
    """Whether the proxy tells neither a status nor an error: a failure made of that would be made up."""
    return answer.status is None and not answer.error_message


def same_answer(status: int, body: str, healthy: RecordedExchange) -> bool:
    """Whether an answer equals the healthy one; JSON bodies are compared as values."""
    return status == healthy.response_status and _normal(body) == _normal(healthy.response_body)


def _normal(body: str) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body.strip()


def raw_path(url: str) -> str:
    """The path exactly as written. Not by `urlsplit`, which drops some characters and raises for some hosts."""
    return re.split(r"[?#]", _ORIGIN.sub("", url, count=1), maxsplit=1)[0] or "/"


def _healthy(answer: ReplayedAnswer, position: int, recorded: Sequence[RecordedExchange]) -> RecordedExchange | None:
    """The recorded request that was replayed: same place and method; or, if the lists differ, same method and path."""
    if position < len(recorded) and recorded[position].method == answer.method:
        return recorded[position]
    path = raw_path(answer.url)
    return next((one for one in recorded if one.method == answer.method and one.path == path), None)


def captured_answers(
    service: str, answers: Sequence[ReplayedAnswer], recorded: Sequence[RecordedExchange], substitute: int
) -> list[CapturedAnswer]:
    """Every replayed answer as a captured failure.

    The path is the recorded one, raw: the proxy encodes a replayed path a second time, so its own is wrong
    (`peer-contract` section 3.2). The answer is compared with the healthy one, because a fault may change nothing.
    An answer to a request that was not recorded is left out: no rule made of it would ever act.
    """
    captured = []
    for position, answer in enumerate(answers):
        healthy = _healthy(answer, position, recorded)
        if healthy is None:
            continue
        status, substituted = real_status(answer, substitute)
        captured.append(
            CapturedAnswer(
                service=service,
                position=position,
                method=answer.method,
                url=healthy.url,
                path=healthy.path,
                status=status,
                headers={name: values[0] for name, values in answer.headers.items() if values},
                body=answer.body,
                substituted=substituted,
                no_effect=not substituted and same_answer(status, answer.body, healthy),
                error_message=answer.error_message,
            )
        )
    return captured


def has_effect(captured: Sequence[CapturedAnswer]) -> bool:
    """Whether any request of the service failed otherwise than it succeeds."""
    return any(not answer.no_effect for answer in captured)


def build_rules(record_id: str, service: str, token: str, captured: Sequence[CapturedAnswer]) -> list[Rule]:
    """A service's rules: its canary, then one per (method, path), the first recorded one winning as in the proxy.

    Requests that the fault did not change get no rule: the service answers them itself, as it did under the fault.
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
