"""The checker finds each violation in a made-up log that contains it, and nothing in one that contains none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lab import Counters, Kind, LabState, LogEntry, ServiceState
from lab.journal import Moment
from tests.leaks import checker
from tests.leaks.checker import Seen, Window

DAWN = datetime(2026, 1, 1, tzinfo=UTC)


def at(second: float) -> Moment:
    return Moment(monotonic=second, utc=DAWN + timedelta(seconds=second))


def entry(
    kind: Kind, service: str, begun: float, ended: float | None, name: str = "", reason: str = "deleted by call"
) -> LogEntry:
    off_at = None if ended is None else at(ended)
    name = name or f"{kind}-{service}"
    return LogEntry(kind=kind, service=service, name=name, on_at=at(begun), off_at=off_at, reason=off_at and reason)


def window(kind: Kind, begun: float, ended: float | None, service: str = "") -> Window:
    return Window(kind=kind, service=service, begun=at(begun).utc, ended=None if ended is None else at(ended).utc)


GOOD = [
    entry(Kind.RECORDING, "left", 1, 3),
    entry(Kind.RECORDING, "right", 1.1, 3.1),
    entry(Kind.FAULT, "left", 5, 6),
    entry(Kind.FAULT, "right", 7, 8),
    entry(Kind.RULES, "left", 10, 20, "hf1x-left"),
    entry(Kind.RULES, "right", 10.1, 20, "hf1x-right"),
]
WINDOWS = [
    window(Kind.RECORDING, 0.5, 4),
    window(Kind.FAULT, 4.5, 6.5, "left"),
    window(Kind.FAULT, 6.6, 8.5, "right"),
    window(Kind.RULES, 9, 21),
]
WHOLE = ServiceState(target_port=8080, sidecar=False, app_up=True, ready=True, effects=[])


def seen(log: list[LogEntry] | None = None, counters: Counters | None = None, **state: object) -> Seen:
    state = {"faults": {}, "rules": [], "recordings": [], "services": {"left": WHOLE}} | state
    counters = counters or Counters(services={}, executes={"a": 1, "b": 1})
    return Seen(log=GOOD if log is None else log, counters=counters, state=LabState.model_validate(state))


def test_a_good_log_has_no_violation() -> None:
    assert checker.still_on(seen()) == []
    assert checker.at_once(GOOD) == []
    assert checker.done_twice(seen()) == []
    assert checker.unheld(GOOD, WINDOWS) == []
    assert checker.by_itself(GOOD) == []
    assert checker.on_after(GOOD, at(20).utc, "a test") == []
    assert checker.measured_otherwise(Counters(services={}, entry_baggage={"a=1": 2}), {"a=1": 2}) == []


@pytest.mark.parametrize("kind", list(Kind))
def test_what_has_no_end_is_still_on(kind: Kind) -> None:
    assert checker.still_on(seen([entry(kind, "left", 1, None)])) == [f"{kind} {kind}-left in left is still on"]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"faults": {"hf-1": "Unknown"}}, "fault hf-1 still exists"),
        ({"rules": ["hf1x-left"]}, "session hf1x-left still exists"),
        ({"recordings": ["rec-1"]}, "session rec-1 still exists"),
        ({"services": {"left": WHOLE.model_copy(update={"sidecar": True})}}, "sidecar"),
        ({"services": {"left": WHOLE.model_copy(update={"target_port": 15006})}}, "sidecar"),
        ({"services": {"left": WHOLE.model_copy(update={"effects": ["hf-1"]})}}, "still broken: hf-1"),
        ({"services": {"left": WHOLE.model_copy(update={"app_up": False})}}, "it is down"),
    ],
)
def test_a_system_that_is_not_as_it_was_is_told(state: dict[str, object], words: str) -> None:
    (found,) = checker.still_on(seen([], **state))
    assert words in found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (entry(Kind.FAULT, "left", 1, 3), entry(Kind.FAULT, "right", 2, 4)),
        (entry(Kind.FAULT, "left", 1, None), entry(Kind.FAULT, "right", 9, 10)),
        (entry(Kind.FAULT, "left", 2, 3), entry(Kind.RULES, "left", 1, 4)),
        (entry(Kind.FAULT, "right", 1, 3), entry(Kind.RECORDING, "left", 2, 4)),
        (entry(Kind.RECORDING, "left", 1, 3), entry(Kind.RULES, "right", 2, 4)),
        (entry(Kind.RECORDING, "left", 1, 3, "rec-1"), entry(Kind.RECORDING, "left", 2, 4, "rec-2")),
        (entry(Kind.RULES, "left", 1, 3, "hf1x-left"), entry(Kind.RULES, "right", 2, 4, "hf2x-right")),
    ],
)
def test_what_excludes_each_other_and_was_on_at_once_is_told(one: LogEntry, other: LogEntry) -> None:
    for log in ([one, other], [other, one]):
        assert len(checker.at_once(log)) == 1


def test_a_fault_may_come_on_while_calls_are_recorded() -> None:
    calls = [entry(Kind.RECORDING, service, 4, 9, f"rec-{service}") for service in ("left", "right")]
    log = [*GOOD[:4], *calls]
    assert checker.at_once(log) == []
    assert checker.done_twice(seen(log)) == []


CALLS = {"front": ["gate", "left"], "gate": ["right"], "left": [], "right": []}


def on(*services: str) -> list[LogEntry]:
    """Faults in these, one after the other, all on until the end."""
    return [entry(Kind.FAULT, service, number, 9) for number, service in enumerate(services)]


@pytest.mark.parametrize("services", [("front", "right"), ("right", "front"), ("gate", "right"), ("left", "left")])
def test_two_faults_on_one_call_path_are_told_however_many_are_allowed(services: tuple[str, ...]) -> None:
    """Directly or through another one."""
    assert len(checker.at_once(on(*services), faults=4, calls=CALLS)) == 1


def test_more_faults_than_are_allowed_are_told() -> None:
    """And those that are allowed are not."""
    log = on("left", "right", "up", "down")
    assert checker.most_faults_at_once(log) == 4
    assert checker.at_once(log, faults=4, calls=CALLS) == []
    assert checker.at_once(log, faults=3, calls=CALLS) == ["4 faults were on at once, not 3 at most"]
    assert len(checker.at_once(log)) == 6
    apart = [entry(Kind.FAULT, "left", 1, 2), entry(Kind.FAULT, "right", 2, None), *GOOD[:2]]
    assert checker.most_faults_at_once(apart) == 1
    assert checker.at_once([*apart, entry(Kind.RULES, "left", 3, 4)], faults=4, calls=CALLS)


def test_what_was_done_twice_is_told() -> None:
    assert "injected 2 times" in checker.done_twice(seen(counters=Counters(services={}, executes={"a": 2, "b": 1})))[0]
    again = seen([*GOOD, entry(Kind.FAULT, "left", 8.5, 9, "another-name")])
    assert checker.done_twice(again) == ["fault of left: 2 of them in 1 runs: fault-left, another-name"]
    assert checker.done_twice(again, runs=2) == []
    rules = seen([*GOOD, entry(Kind.RULES, "left", 21, 22, "hf1x-left")])
    assert len(checker.done_twice(rules)) == 1
    assert checker.done_twice(rules, spare_rules=1) == []
    recordings = [entry(Kind.RECORDING, "left", 20 + number, 20.5 + number, f"rec-{number}") for number in (2, 3)]
    recorded = seen([*GOOD, *recordings])
    assert len(checker.done_twice(recorded, spare_rules=1)) == 1
    assert checker.done_twice(recorded, spare_recordings=1) == []
    assert checker.done_twice(again, once={Kind.FAULT: 2}) == []
    names = {"hf-1-left-00000000-1": 1, "hf-1-left-0000000a-1": 1, "hf-1-right-00000000-1": 1}
    unseen = seen(counters=Counters(services={}, executes=names))
    (found,) = checker.done_twice(unseen)
    assert found == "a fault under more than 1 names: hf-1-left-00000000-1, hf-1-left-0000000a-1"
    assert checker.done_twice(unseen, runs=2) == []


def test_cases_that_are_missing_or_measured_twice_are_told() -> None:
    counters = Counters(services={}, entry_baggage={"a=1": 4, "c=1": 1})
    assert checker.measured_otherwise(counters, {"a=1": 2, "b=1": 2}) == [
        "4 requests with 'a=1', not 2",
        "0 requests with 'b=1', not 2",
        "1 requests with 'c=1', not 0",
    ]
    asked = Counters(services={}, entry_baggage={"": 8, "a=1": 5})
    assert checker.measured_otherwise(asked, {"": 5, "a=1": 5}, question=3) == []
    assert checker.measured_otherwise(asked, {"": 6, "a=1": 2}, question=3) == [
        "8 requests with '', not 6",
        "5 requests with 'a=1', not 2",
    ]
    twice = Counters(services={}, entry_baggage={"a=1": 3, "b=1": 3})
    assert checker.measured_otherwise(twice, {"a=1": 2, "b=1": 2}, spare=1) == ["3 requests with 'b=1', not 2"]


def test_cases_that_were_measured_twice_are_told() -> None:
    counters = Counters(services={}, entry_baggage={"": 99, "a=1": 4, "b=1": 2, "c=1": 3})
    assert checker.measured_twice(counters, 4) == []
    assert checker.measured_twice(counters, 2) == ["4 requests with 'a=1', not 2", "3 requests with 'c=1', not 2"]
    assert checker.measured_twice(counters, 2, spare=3) == []
    assert checker.measured_twice(counters, 2, spare=2)


@pytest.mark.parametrize(
    "windows",
    [
        [],
        [window(Kind.FAULT, 0, 2.9, "left")],
        [window(Kind.FAULT, 1.1, None, "left")],
        [window(Kind.FAULT, 0, None, "right")],
        [window(Kind.RULES, 0, None)],
    ],
)
def test_what_was_on_without_an_open_window_is_told(windows: list[Window]) -> None:
    assert "without an open window" in checker.unheld([entry(Kind.FAULT, "left", 1, 3)], windows)[0]


def test_what_is_on_needs_a_window_that_is_open() -> None:
    on = [entry(Kind.FAULT, "left", 1, None)]
    assert checker.unheld(on, [window(Kind.FAULT, 0, 9, "left")])
    assert not checker.unheld(on, [window(Kind.FAULT, 0, None, "left")])


@pytest.mark.parametrize("reason", sorted(checker.BY_ITSELF))
def test_what_only_a_time_limit_ended_is_told(reason: str) -> None:
    assert reason in checker.by_itself([entry(Kind.FAULT, "left", 1, 3, reason=reason)])[0]


def test_a_status_that_speaks_too_soon_is_told() -> None:
    late = [entry(Kind.RULES, "left", 1, 5), entry(Kind.RULES, "right", 1, None)]
    assert len(checker.on_after(late, at(4).utc, "verified")) == 2
    assert len(checker.later_than(late, at(5).utc)) == 1
