"""Random sequences of troubles: at which moments of a run what happens to it. Drawn, written down and read again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.leaks.places import Moment as InActivity
from tests.leaks.told import LYING, STANDING, TO_ONE_CALL

HELD = 0.6
"""Seconds that a call takes at which something happens to the run: it happens amid the call (see `told.SLOW`)."""

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
"""Moments at which requests of so many cases have begun to arrive, beside the baseline's."""

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
"""Moments at which a worker dies by itself: where one activity, or a phase, begins or ends."""

ALWAYS = "always"
"""No moment: so are the peers, or the system, all the time."""

ENDS = ("cancel", "cancel-twice", "terminate", "cancel-terminate")
RESETS = ("reset-first", "reset-last")
SECOND = ("second", "second-waits", "second-replaces")
WINDOWS = ("window-terminate", "window-cancel")
DOWN = tuple(f"{trouble}-down" for trouble in (*ENDS, *RESETS, *WINDOWS))
"""Without a worker; another one comes afterwards."""
DEADLY = ("kill", *DOWN)
GONE = "gone"
"""Killed, and no worker comes until the peers' own time limits have ended everything: a minute. For a soak."""
ELSE = ("lock-terminate", "restart", "peers-restart", "sweep", "early", "time-out")
OUTSIDE = (*ENDS, *RESETS, *SECOND, *WINDOWS, *DEADLY, GONE, *ELSE)
"""What somebody does at a moment."""


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
        """Whether it costs a worker its life."""
        return self.trouble in (*DEADLY, GONE)


@dataclass(frozen=True)
class Sequence:
    """What happens to one run."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return " ".join(map(str, self.steps))

    @classmethod
    def read(cls, text: str) -> Self:
        """The inverse of `str`."""
        return cls(tuple(Step(*one.split(":")) for one in text.split()))

    def has(self, *troubles: str) -> bool:
        """Whether one of these is in it."""
        return any(step.trouble in troubles for step in self.steps)

    @property
    def lying(self) -> bool:
        """Whether what is switched off stays on."""
        return self.has(*LYING)

    @property
    def misbehaviour(self) -> Misbehaviour:
        """What the peers do; what is for one call goes before what holds for all."""
        whole = next((_standing(step) for step in self.steps if step.moment == ALWAYS), Misbehaviour())
        own = [one for step in self.steps if step.moment in CALLS for one in _at_call(step)]
        return whole.model_copy(update={"instructions": own + whole.instructions})

    @property
    def limit(self) -> timedelta | None:
        """The time limit that the run is started with: about when the moment comes, for the server does not wait."""
        times = [step.moment for step in self.steps if step.trouble == "time-out"]
        return timedelta(seconds=2 + 0.5 * [*CALLS, *MEASURING].index(times[0])) if times else None

    def without(self, step: Step) -> Sequence:
        """A shorter one."""
        return Sequence(tuple(one for one in self.steps if one != step))


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
"""One of each in turn, so that also a few sequences have something of everything; with others around it."""
_LONG = _steps(_MOMENTS, [GONE])


def _possible(steps: list[Step]) -> bool:
    """A run is reset, timed out or started again once, and enough workers have died by the second death."""
    resets = [one for one in OUTSIDE if one.startswith("reset")]
    # Peers whose timers are lost, or that lie, and a worker that does not come: nobody promises anything for that.
    alone = [GONE, "peers-restart", *STANDING, *LYING]
    for some in ([*resets, *SECOND], ["time-out"], alone if any(step.trouble == GONE for step in steps) else alone[2:]):
        if sum(step.trouble in some for step in steps) > 1:
            return False
    return sum(step.kills for step in steps) <= 2


def amid_others(kind: st.SearchStrategy[Step]) -> st.SearchStrategy[Sequence]:
    """A step of one kind, and up to three of any."""
    steps = st.tuples(kind, st.lists(st.one_of(KINDS), max_size=3)).map(lambda found: [found[0], *found[1]])
    return steps.filter(_possible).map(lambda found: Sequence(tuple(dict.fromkeys(found))))


SEQUENCES = st.one_of([amid_others(kind) for kind in [*KINDS, _LONG]])


def drawn(count: int, seed: int, *, long: bool) -> list[Sequence]:
    """About so many sequences, up front, so that their runs can go on beside each other; the same ones for a seed.

    Hypothesis draws them and does not shrink: a run takes seconds. `soak.py` leaves out what is not needed.
    """
    kinds = [*KINDS, _LONG] if long else KINDS
    of_each = [_drawn(kind, -(-count // len(kinds)), seed * 100 + n) for n, kind in enumerate(kinds)]
    in_turn = dict.fromkeys(one for some in zip(*of_each, strict=True) for one in some)
    return list(in_turn)[:count]


def _drawn(kind: st.SearchStrategy[Step], count: int, seed: int) -> list[Sequence]:
    found: list[Sequence] = []

    # The first ones are the simplest there are.
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
    """The command that tries it once more."""
    return f".venv/bin/python -m tests.leaks.soak '{sequence}'"
