"""Behaviour that all activities share: polling, and a single place where errors get their code."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.base import finish_despite_cancel, poll, step
from activities.clocks import Deadline
from activities.toolbox import Toolbox
from clients.secrets.values import Secrets
from domain.errors import ErrorCode, HoldfastError, Problem, ValidationReport

EVERY = timedelta(milliseconds=1)


class Looks:
    """Gives its answers in order, then repeats the last one for ever. Errors are raised."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.begun = asyncio.Event()
        self.count = 0

    async def look(self) -> Any:
        self.count += 1
        self.begun.set()
        found = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(found, Exception):
            raise found
        return found


def later() -> Deadline:
    return Deadline.after(timedelta(minutes=10))


async def polled(looks: Looks, end: Deadline, *, stubborn: bool = False) -> Any:
    async def polling() -> Any:
        return await poll(looks.look, end=end, every=EVERY, stubborn=stubborn)

    return await ActivityEnvironment().run(polling)


MAY_PASS = HoldfastError(ErrorCode.PEER_TIMEOUT, "no answer")
WILL_NOT = HoldfastError(ErrorCode.ANALYZE_FAILED, "it is lost")


async def test_poll_waits_out_errors_that_may_pass() -> None:
    """A single failed look must not fail the run."""
    looks = Looks(MAY_PASS, None, MAY_PASS, "there")
    assert await polled(looks, later()) == "there"
    assert looks.count == 4


async def test_poll_gives_up_when_its_time_is_over() -> None:
    """It looks at least once, even if the time was over before."""
    looks = Looks(MAY_PASS)
    assert await polled(looks, Deadline.after(timedelta(0))) is None
    assert looks.count == 1


async def test_poll_raises_a_permanent_error_at_once_unless_stubborn() -> None:
    """Nobody should wait ten minutes for something that will never come.

    But closing has no alternative to trying again.
    """
    looks = Looks(WILL_NOT)
    with pytest.raises(HoldfastError) as raised:
        await polled(looks, later())
    assert (raised.value.code, looks.count) == (ErrorCode.ANALYZE_FAILED, 1)
    assert await polled(Looks(WILL_NOT, WILL_NOT, "gone"), later(), stubborn=True) == "gone"


async def test_a_cancel_ends_polling_at_once() -> None:
    """Even in the pause between two looks; nothing is asked afterwards."""
    looks = Looks(None)
    environment = ActivityEnvironment()

    async def polling() -> Any:
        return await poll(looks.look, end=later(), every=timedelta(minutes=10), stubborn=True)

    asking = asyncio.create_task(environment.run(polling))
    await looks.begun.wait()
    environment.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert looks.count == 1


async def test_a_call_is_finished_despite_cancels(caplog: pytest.LogCaptureFixture) -> None:
    """However often it is cancelled: the peer may act until it has answered. An error that it answers with is noted."""
    begun, answer = asyncio.Event(), asyncio.Event()
    ended = False

    async def call() -> None:
        nonlocal ended
        begun.set()
        await answer.wait()
        ended = True
        raise MAY_PASS

    unread: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unread.append(context))
    environment = ActivityEnvironment()
    acting = asyncio.create_task(environment.run(finish_despite_cancel, call()))
    await begun.wait()
    for _ in range(2):
        acting.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not acting.done()
    answer.set()
    with caplog.at_level("INFO"), pytest.raises(asyncio.CancelledError):
        await acting
    assert ended
    assert "the peer's answer was an error: PEER_TIMEOUT" in caplog.text
    del acting
    gc.collect()
    assert unread == []


class Steps:
    """Activities that raise the error that they are given."""

    def __init__(self) -> None:
        nobody = cast("Any", None)
        self._tools = Toolbox(
            store=nobody, secrets=Secrets({"KEY": "pl4nted", "HOLDFAST_SECRETS": "KEY"}), load=nobody, canary=nobody
        )
        self._tools.secrets.know("${env:KEY}")

    @step
    async def end(self, error: Exception) -> None:
        raise error


async def ended(error: Exception, attempt: int = 1) -> ApplicationError:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    with pytest.raises(ApplicationError) as raised:
        await environment.run(Steps().end, error)
    return raised.value


@pytest.mark.parametrize("code", list(ErrorCode))
async def test_every_error_leaves_an_activity_with_its_code(code: ErrorCode) -> None:
    """With its message, its hint and no secret. It is retried only where that can help."""
    error = HoldfastError(code, "the proxy said pl4nted", hint="look there", problems=[Problem(path="a", message="b")])
    found = await ended(error)
    assert (found.type, found.non_retryable) == (code, not error.kind.retryable)
    assert found.message == "the proxy said [redacted]. look there"
    assert found.details == (ValidationReport(problems=error.problems),)


async def test_a_defect_is_reported_by_code_and_place_without_its_message() -> None:
    """The message may quote anything; the worker's log has it. The activity is retried twice, then it fails."""
    for attempt, last in ((1, False), (2, False), (3, True)):
        found = await ended(LookupError("pl4nted"), attempt)
        assert (found.type, found.non_retryable) == (ErrorCode.UNEXPECTED, last)
        assert found.message.startswith("unexpected LookupError in ")
        assert "pl4nted" not in found.message
        assert found.__cause__ is None
