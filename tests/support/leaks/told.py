"""Wrong behaviour of peers, at one call or always. Names are words, so that a sequence can be written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab import Action, Endpoint, Instruction, Misbehaviour
from tests.support.leaks.duo import LEFT, RIGHT

HALF_RUNNING = {
    "success": True,
    "data": {
        "phase": "Running",
        "status": {
            "phase": "Running",
            "expStatuses": [
                {
                    "success": True,
                    "state": "Success",
                    "resStatuses": [
                        {"kind": "container", "state": "Success", "success": True, "identifier": "duo/n/left-0"},
                        {"kind": "container", "state": "Error", "success": False, "identifier": "duo/n/left-1"},
                    ],
                }
            ],
        },
    },
}
IN_ERROR = {
    "success": True,
    "data": {
        "phase": "Error",
        "status": {"phase": "Error", "expStatuses": [{"success": False, "state": "Error", "error": "no such class"}]},
    },
}
UNKNOWN = {"success": True, "data": {"taskId": "task_1", "status": "NOT_FOUND"}}
OF_ANOTHER = {"success": True, "data": {"taskId": "task_1", "status": "INITIALIZING", "execution_id": 1}}

SLOW = 0.8
"""Seconds that a slow call takes.

It may not take longer, because `Timing.settle` must exceed any call to a peer, in tests too.
"""

SOME = 5
"""Calls in a row that get no answer."""


def first(endpoint: Endpoint, body: Any, calls: int = 1, contains: str | None = None) -> Misbehaviour:
    """Answer the first calls with this body, whatever is true."""
    return Misbehaviour(
        instructions=[
            Instruction(endpoint=endpoint, action=Action.REPLACE, nth=nth, body=body, contains=contains)
            for nth in range(1, calls + 1)
        ]
    )


def always(endpoint: Endpoint, action: Action, contains: str | None = None) -> Misbehaviour:
    """Do this at every call."""
    return Misbehaviour(instructions=[Instruction(endpoint=endpoint, action=action, contains=contains)])


def _once(action: Action, calls: int = 1) -> Callable[[Endpoint, int], list[Instruction]]:
    def made(endpoint: Endpoint, nth: int) -> list[Instruction]:
        return [
            Instruction(endpoint=endpoint, action=action, nth=number, seconds=SLOW)
            for number in range(nth, nth + calls)
        ]

    return made


TO_ONE_CALL: dict[str, Callable[[Endpoint, int], list[Instruction]]] = {
    "lost": _once(Action.ACT_THEN_DROP),
    "failed-after": _once(Action.ACT_THEN_500),
    "refused": _once(Action.REFUSE_500),
    "hanging": _once(Action.HANG),
    "garbage": _once(Action.GARBAGE),
    "truncated": _once(Action.ACT_THEN_TRUNCATE),
    "flooded": _once(Action.ACT_THEN_FLOOD),
    "slow": _once(Action.SLOW),
    "lie": _once(Action.LIE),
    "silent": _once(Action.DROP, SOME),
}
"""What a peer does at a certain call.

It acts on it where its answer is lost, late, cut off or too long.
"""

LYING: dict[str, Misbehaviour] = {
    "deletes-lie": always(Endpoint.FAULT_DELETE, Action.LIE),
    # A removed service is not stable, which reveals the lie too. A service that answers with errors is stable.
    "one-delete-lies": always(Endpoint.FAULT_DELETE, Action.LIE, contains=f"-{RIGHT}-"),
    "rules-stay": always(Endpoint.FIXTURE_DELETE, Action.LIE),
    "stops-lie": always(Endpoint.RECORDING_STOP, Action.LIE),
}
"""Switching off is reported as done and never happens. What stays on must be reported."""

STANDING: dict[str, Misbehaviour] = {
    "upsert-lies": always(Endpoint.UPSERT, Action.LIE),
    "half-running": first(Endpoint.FAULT_STATUS, HALF_RUNNING, calls=30, contains=f"-{LEFT}-"),
    "in-error": first(Endpoint.FAULT_STATUS, IN_ERROR, calls=30, contains=f"-{LEFT}-"),
    "unknown-task": first(Endpoint.ANALYZE_STATUS, UNKNOWN),
    "task-of-another": first(Endpoint.ANALYZE, OF_ANOTHER),
    "no-patterns": Misbehaviour(analysis_no_patterns_for=[LEFT, RIGHT]),
    "one-pattern": Misbehaviour(analysis_no_patterns_for=[LEFT]),
    "analysis-fails": Misbehaviour(analysis_fails="a test"),
    "analysis-stalls": Misbehaviour(analysis_stalls=True),
    "heals": Misbehaviour(
        instructions=[Instruction(endpoint=Endpoint.REPLAY, action=Action.SLOW, nth=1, seconds=SLOW)]
    ),
}
"""How a peer, or the system, behaves throughout a run."""
