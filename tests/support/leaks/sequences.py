"""Random sequences of troubles at moments of a run: drawn, written down and read again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.leaks.places import Moment as InActivity
from tests.support.leaks.told import LYING, STANDING, TO_ONE_CALL

HELD = 0.6
"""Seconds that a call takes while something happens to the run.

It happens amid the call (see `told.SLOW`).
"""

CALLS: dict[str, tuple[Endpoint, int]] = {
    "locking": (Endpoint.CHECK, 1),
    "looking": (Endpoint.FAULT_LIST, 1),
    "starting": (Endpoint.ANALYZE, 1),
    "recording": (Endpoint.ANALYZE_STATUS, 3),
    "stopping": (Endpoint.RECORDINGS_ACTIVE, 1),
    "halting": (Endpoint.RECORDING_STOP, 1),
    "stopped": (Endpoint.CHECK, 4),
    "calling": (Endpoint.RECORDING_START, 1),
    "calling-next": (Endpoint.RECORDING_START, 2),
    "injecting": (Endpoint.EXECUTE, 1),
    "breaking": (Endpoint.FAULT_STATUS, 1),
    "replaying": (Endpoint.REPLAY, 1),
    "recovering": (Endpoint.FAULT_DELETE, 1),
    "recovered": (Endpoint.FAULT_DELETE, 2),
    "injecting-next": (Endpoint.EXECUTE, 2),
    "replaying-next": (Endpoint.REPLAY, 2),
    "reading": (Endpoint.RECORDING_ENTRIES, 1),
    "injecting-again": (Endpoint.EXECUTE, 3),
    "injecting-pair": (Endpoint.EXECUTE, 5),
    "reading-again": (Endpoint.RECORDING_ENTRIES, 9),
    "injecting-last": (Endpoint.EXECUTE, 6),
    "uncalling": (Endpoint.RECORDING_STOP, 3),
    "upserting": (Endpoint.UPSERT, 1),
    "registering": (Endpoint.FIXTURE_STATUS, 1),
    "removing": (Endpoint.FIXTURE_DELETE, 1),
    "removed": (Endpoint.FIXTURE_STATUS, 3),
    "verifying": (Endpoint.FAULT_LIST, 2),
}
"""Moments that are calls of a peer, in the order of an undisturbed run."""

MEASURING = {"measuring": 1, "measuring-pair": 3}
"""Moments at which requests of this many cases have begun to arrive.

The baseline's are not counted.
"""

ACTIVITIES = (
    "create_execution",
    "record_intent",
    "preflight",
    "update_ledger",
    "check_steady_state",
    "change_phase",
    "generate_cases",
    "start_recordings",
    "send_healthy",
    "inject_fault",
    "ask_broken",
    "recover_fault",
    "read_calls",
    "capture_calls",
    "await_stability",
    "upsert_rules",
    "measure_batch",
    "remove_rules",
    "judge",
    "await_run_ended",
    "verify_environment",
    "finish_from_server",
)
DEATHS = {f"{moment}-{name}": (name, moment) for name in ACTIVITIES for moment in (InActivity.BEFORE, InActivity.AFTER)}
"""Moments at which a worker dies by itself.

An activity, or a phase, begins or ends there.
"""

ALWAYS = "always"
"""No moment: peers or system behave like this all the time."""

ENDS = ("cancel", "cancel-twice", "terminate", "cancel-terminate")
RESETS = ("reset-first", "reset-last")
SECOND = ("second", "second-waits", "second-replaces")
WINDOWS = ("window-terminate", "window-cancel")
DOWN = tuple(f"{trouble}-down" for trouble in (*ENDS, *RESETS, *WINDOWS))
"""Without a worker; a new worker comes afterwards."""
DEADLY = ("kill", *DOWN)
GONE = "gone"
"""Killed, and not replaced while anything is on.

No worker comes until the peers' own time limits have ended everything, which takes a minute. For a soak.
"""
ELSE = ("lock-terminate", "restart", "peers-restart", "sweep", "early", "time-out")
OUTSIDE = (*ENDS, *RESETS, *SECOND, *WINDOWS, *DEADLY, GONE, *ELSE)
"""Troubles that somebody causes at a moment."""


@dataclass(frozen=True)
class Step:
    """One trouble at one moment."""

    moment: str
    trouble: str

    def __str__(self) -> str:
        return f"{self.moment}:{self.trouble}"

    @property
    def is_outside(self) -> bool:
        """Whether somebody acts at that moment, rather than a peer."""
        return self.trouble in OUTSIDE

    @property
    def kills(self) -> bool:
        """Whether it kills a worker."""
        return self.trouble in (*DEADLY, GONE)


@dataclass(frozen=True)
class Sequence:
    """The troubles of one run."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return " ".join(map(str, self.steps))

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse a sequence, the inverse of `str`."""
        return cls(tuple(Step(*word.split(":")) for word in text.split()))

    def has(self, *troubles: str) -> bool:
        """Whether it contains any of these troubles."""
        return any(step.trouble in troubles for step in self.steps)

    @property
    def lying(self) -> bool:
        """Whether things stay on although they are switched off."""
        return self.has(*LYING)

    @property
    def misbehaviour(self) -> Misbehaviour:
        """What the peers do. Instructions for one call go before those for all calls."""
        whole = next((_standing(step) for step in self.steps if step.moment == ALWAYS), Misbehaviour())
        own = [instruction for step in self.steps if step.moment in CALLS for instruction in _at_call(step)]
        return whole.model_copy(update={"instructions": own + whole.instructions})

    @property
    def limit(self) -> timedelta | None:
        """The time limit that the run is started with.

        It ends about when the moment comes, because the server does not wait for it.
        """
        times = [step.moment for step in self.steps if step.trouble == "time-out"]
        return timedelta(seconds=2 + 0.5 * [*CALLS, *MEASURING].index(times[0])) if times else None

    def without(self, step: Step) -> Sequence:
        """Return the sequence without this step."""
        return Sequence(tuple(kept for kept in self.steps if kept != step))


def _standing(step: Step) -> Misbehaviour:
    return (LYING | STANDING)[step.trouble]


def _at_call(step: Step) -> list[Instruction]:
    endpoint, nth = CALLS[step.moment]
    if step.is_outside:
        return [Instruction(endpoint=endpoint, action=Action.SLOW, nth=nth, seconds=HELD)]
    return TO_ONE_CALL[step.trouble](endpoint, nth)


def _steps(moments: Iterable[str], troubles: Iterable[str]) -> st.SearchStrategy[Step]:
    return st.builds(Step, st.sampled_from(list(moments)), st.sampled_from(list(troubles)))


_MOMENTS = [*CALLS, *MEASURING]
_HOLDING = [one for one in _MOMENTS if one not in ("locking", "looking", "verifying")]
"""Moments at which some window is open."""

KINDS = [
    _steps(_MOMENTS, ENDS),
    _steps(_HOLDING, ["window-terminate"]),
    _steps(_MOMENTS, ["kill"]),
    _steps(CALLS, ["lost", "failed-after"]),
    _steps(_MOMENTS, RESETS),
    _steps([ALWAYS], LYING),
    _steps(DEATHS, DEADLY),
    _steps(_MOMENTS, ["restart", "peers-restart", "early"]),
    _steps([ALWAYS], STANDING),
    _steps(_MOMENTS, SECOND),
    _steps(_MOMENTS, DOWN),
    _steps(CALLS, TO_ONE_CALL),
    _steps(_HOLDING, ["window-cancel"]),
    _steps(_MOMENTS, ["lock-terminate", "sweep", "time-out"]),
]
"""Kinds of steps, drawn in turn with others around them.

Even a few sequences therefore contain every kind.
"""
_LONG = _steps(_MOMENTS, [GONE])


def _possible(steps: list[Step]) -> bool:
    """Whether a run can have these steps.

    It has at most one reset or second start, one time-out, and two deaths of workers, which are enough.
    """
    resets = [trouble for trouble in OUTSIDE if trouble.startswith("reset")]
    # Nothing is promised for peers that lose their timers, or lie, while no worker comes.
    alone = [GONE, "peers-restart", *STANDING, *LYING]
    for group in (
        [*resets, *SECOND],
        ["time-out"],
        alone if any(step.trouble == GONE for step in steps) else alone[2:],
    ):
        if sum(step.trouble in group for step in steps) > 1:
            return False
    return sum(step.kills for step in steps) <= 2


def amid_others(kind: st.SearchStrategy[Step]) -> st.SearchStrategy[Sequence]:
    """Draw a step of one kind, and up to three of any."""
    steps = st.tuples(kind, st.lists(st.one_of(KINDS), max_size=3)).map(lambda found: [found[0], *found[1]])
    return steps.filter(_possible).map(lambda found: Sequence(tuple(dict.fromkeys(found))))


SEQUENCES = st.one_of([amid_others(kind) for kind in [*KINDS, _LONG]])


def drawn(count: int, seed: int, *, long: bool) -> list[Sequence]:
    """Draw about this many sequences, the same for each seed.

    They are drawn up front, so that their runs can go on at the same time. Hypothesis draws them and does not shrink,
    because a run takes seconds. `soak.py` leaves out what is not needed.
    """
    kinds = [*KINDS, _LONG] if long else KINDS
    of_each = [_drawn(kind, -(-count // len(kinds)), seed * 100 + n) for n, kind in enumerate(kinds)]
    in_turn = dict.fromkeys(sequence for batch in zip(*of_each, strict=True) for sequence in batch)
    return list(in_turn)[:count]


def _drawn(kind: st.SearchStrategy[Step], count: int, seed: int) -> list[Sequence]:
    found: list[Sequence] = []

    # The first examples are the simplest there are, so they are dropped.
    @hypothesis.settings(
        max_examples=count + 5, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @hypothesis.seed(seed)
    @hypothesis.given(amid_others(kind))
    def draw(sequence: Sequence) -> None:
        found.append(sequence)

    draw()
    return found[-count:]


def repeated_by(sequence: Sequence) -> str:
    """Return the command that tries it once more."""
    return f".venv/bin/python -m tests.leaks.soak '{sequence}'"
