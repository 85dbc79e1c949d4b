"""Makes the peers misbehave on demand.

One middleware is around both the proxy and the fault service.
"""

import asyncio
from collections import Counter
from enum import StrEnum

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from lab.envelope import Handler, failure, plain
from lab.misbehaviour.broken_answers import send_flood, send_truncated
from lab.misbehaviour.lies import lie
from lab.misbehaviour.names import FIXTURES, Endpoint
from lab.services.host import drop, hang


class Action(StrEnum):
    """What to do instead of answering properly."""

    ACT_THEN_DROP = "act_then_drop"
    """Act, then drop the connection without an answer."""
    ACT_THEN_500 = "act_then_500"
    """Act, then answer 500."""
    ACT_THEN_TRUNCATE = "act_then_truncate"
    """Act, send half of the real answer, then drop the connection."""
    ACT_THEN_FLOOD = "act_then_flood"
    """Act, then answer with a practically endless body (`broken_answers.FLOOD` bytes)."""
    REFUSE_500 = "refuse_500"
    """Answer 500, and do nothing."""
    HANG = "hang"
    """Neither act nor answer."""
    LIE = "lie"
    """Claim a success, and do nothing."""
    DROP = "drop"
    """Drop the connection, and do nothing."""
    GARBAGE = "garbage"
    """Answer with a page in HTML, and do nothing."""
    SLOW = "slow"
    """Wait before acting."""
    REPLACE = "replace"
    """Answer with `status` and `body`, and do nothing."""


class Instruction(BaseModel):
    """One misbehaviour of one endpoint."""

    model_config = ConfigDict(extra="forbid")

    endpoint: Endpoint
    action: Action
    nth: int | None = Field(default=None, ge=1)
    """Misbehave only on the nth matching call since the instruction was set, counted from 1. Null: on every one."""
    contains: str | None = None
    """Affects only calls whose path, query or body contain this text."""
    seconds: float = Field(default=1, ge=0)
    """For `slow`: seconds to wait before acting."""
    status: int = Field(default=200, ge=200, le=599)
    body: JsonValue = None
    """For `replace`: the answer. The call itself is not carried out."""


class Misbehaviour(BaseModel):
    """Everything that is to go wrong; nothing by default."""

    model_config = ConfigDict(extra="forbid")

    instructions: list[Instruction] = []
    analysis_fails: str | None = None
    """Message with which each analysis ends FAILED, leaving its recordings active."""
    analysis_stalls: bool = False
    """Whether each analysis stays in COLLECTING_DATA for ever, with its recordings active."""
    analysis_no_patterns_for: list[str] = []
    """Services in which analysis finds nothing."""


class Mischief:
    """Holds the current misbehaviour and carries it out."""

    def __init__(self, hang_limit: float) -> None:
        self.current = Misbehaviour()
        self.calls: Counter[str] = Counter()
        """Calls that reached the peers since the last misbehaviour was set, by endpoint."""
        self._seen: list[int] = []
        self._hang_limit = hang_limit

    def set(self, wanted: Misbehaviour) -> None:
        """Replace the current misbehaviour, and restart the counts."""
        self.current = wanted
        self.calls.clear()
        self._seen = [0] * len(wanted.instructions)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Carry out the first instruction that applies to this call."""
        self.calls[str(request.match_info.route.name)] += 1
        instruction = await self._count_and_pick(request)
        if instruction is None:
            return await handler(request)
        return await self._carry_out(instruction, request, handler)

    async def _count_and_pick(self, request: web.Request) -> Instruction | None:
        text = f"{request.path_qs}\n{await request.text()}" if self.current.instructions else ""
        due = None
        for index, instruction in enumerate(self.current.instructions):
            if instruction.endpoint != request.match_info.route.name:
                continue
            if instruction.contains is not None and instruction.contains not in text:
                continue
            self._seen[index] += 1
            if due is None and instruction.nth in {None, self._seen[index]}:
                due = instruction
        return due

    async def _carry_out(self, instruction: Instruction, request: web.Request, handler: Handler) -> web.StreamResponse:
        if instruction.action is Action.SLOW:
            await asyncio.sleep(instruction.seconds)
            return await handler(request)
        if instruction.action is Action.ACT_THEN_TRUNCATE:
            return await send_truncated(request, await handler(request))
        if instruction.action is Action.ACT_THEN_FLOOD:
            await handler(request)
            return await send_flood(request)
        if instruction.action in {Action.ACT_THEN_DROP, Action.ACT_THEN_500}:
            await handler(request)
        return await self._answer(instruction, request)

    async def _answer(self, instruction: Instruction, request: web.Request) -> web.StreamResponse:
        match instruction.action:
            case Action.HANG:
                return await hang(request, self._hang_limit)
            case Action.LIE:
                return await lie(instruction.endpoint, request)
            case Action.GARBAGE:
                return web.Response(text="<html>It works!</html>", content_type="text/html")
            case Action.REPLACE:
                return plain(instruction.body, instruction.status)
            case Action.ACT_THEN_500 | Action.REFUSE_500:
                return _internal_error(instruction.endpoint)
            case Action.DROP | Action.ACT_THEN_DROP:
                return drop(request)
            case Action.SLOW | Action.ACT_THEN_TRUNCATE | Action.ACT_THEN_FLOOD:
                raise AssertionError(f"{instruction.action} is carried out before this")


def _internal_error(endpoint: Endpoint) -> web.Response:
    if endpoint in FIXTURES:
        return web.Response(status=500)
    code = "RUNTIME_ERROR" if endpoint.name.startswith("FAULT") or endpoint is Endpoint.EXECUTE else "500"
    return failure(code, "Internal server error", 500)
