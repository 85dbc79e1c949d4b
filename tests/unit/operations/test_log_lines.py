"""The worker's log: one line for each event, with the place where it happened."""

from __future__ import annotations

import dataclasses
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from temporalio import activity
from temporalio.testing import ActivityEnvironment

from activities.log_context import EXECUTION, LOGS_FAILURE, note_execution
from clients.secrets.kept_out import kept_out_of_logs
from clients.secrets.values import Secrets
from clients.store.read_models import LogLevel as StoredLevel
from clients.store.store import Store
from domain.control_characters import STEERING
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import ExecutionRef
from operations.processes.log_lines import JsonFormatter, LineFormatter, _AddPlace, log_to_stderr
from tests.support.store.samples import new_execution
from tests.support.store.template import put_database

HOSTILE = '"}\n{"level": "error"}\r\x1b[2J\u2028\u202e'


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Everything that is logged, by a handler as the worker's."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(_AddPlace())
    handler.setFormatter(JsonFormatter())
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_whatever_it_quotes(stream: io.StringIO) -> None:
    """Also with a traceback; nothing in it steers a terminal or looks like another record."""
    try:
        int(HOSTILE)
    except ValueError:
        logging.getLogger("holdfast.test").exception("the peer answered %s", HOSTILE)
    [line] = lines(stream)
    assert (line["level"], line["logger"]) == ("error", "holdfast.test")
    assert line["message"] == f"the peer answered {HOSTILE}"
    assert "ValueError" in line["error"]
    assert line["time"].endswith("+00:00")
    assert STEERING.search(stream.getvalue()) is None


async def test_a_line_of_an_activity_says_where_it_was_logged(stream: io.StringIO) -> None:
    """Execution, workflow, activity and attempt, whichever logger wrote it."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(
        environment.info, workflow_id="resilience-test/shop", activity_type="judge", attempt=3
    )

    async def work() -> None:
        note_execution(ExecutionRef(execution_id=42))
        activity.logger.warning("a look failed")
        logging.getLogger("holdfast.store").info("a write failed")

    await environment.run(work)
    place = {"execution": 42, "workflow": "resilience-test/shop", "activity": "judge", "attempt": 3}
    for line in lines(stream):
        assert line.items() >= place.items()
    assert len(lines(stream)) == 2
    assert EXECUTION.get() is None


async def test_a_window_names_its_execution(stream: io.StringIO) -> None:
    """By its workflow id, where an order does not."""
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, workflow_id="fault/77/reviews/2")

    async def work() -> None:
        activity.logger.info("here")

    await environment.run(work)
    assert [line["execution"] for line in lines(stream)] == [77]


async def test_the_reason_of_a_failed_attempt_is_logged_once(stream: io.StringIO) -> None:
    """Without the SDK's own record of it, which adds only a stack trace."""
    failed = {"__temporal_error_identifier": "ActivityFailure"}
    log = logging.getLogger("temporalio.activity")
    log.warning("before any step", extra=failed)
    LOGS_FAILURE.set(True)
    log.warning("Completing activity as failed", extra=failed)
    log.warning("another one")
    assert [line["message"] for line in lines(stream)] == ["before any step", "another one"]


async def test_a_runs_log_is_in_the_workers_log(stream: io.StringIO, tmp_path: Any) -> None:
    """Each line once, however often it is written, with its execution and a level to alarm on."""
    store = await Store.open(put_database(tmp_path / "holdfast.db"))
    run = (await new_execution(store)).execution_id
    await store.logs.add(run, "begun", StoredLevel.WARN, "before the worker asked for it")
    store.log_lines_too()
    for _ in range(2):
        await store.logs.add(run, "left", StoredLevel.ERROR, "a fault was not seen to end")
    await store.close()
    found = [line for line in lines(stream) if line["logger"] == "holdfast.run"]
    assert [(line["level"], line["execution"], line["message"]) for line in found] == [
        ("error", run, "a fault was not seen to end")
    ]


def test_text_names_the_place_at_the_end_of_the_line() -> None:
    """For people: no more of it than the line needs."""
    record = logging.makeLogRecord({"name": "holdfast.run", "levelname": "INFO", "msg": "phase DONE", "execution": 7})
    _AddPlace().filter(record)
    assert LineFormatter().format(record).endswith("INFO holdfast.run: phase DONE [execution 7]")


def test_a_secret_is_removed_and_the_line_stays_json(stream: io.StringIO) -> None:
    """Also one that is a part of an id: that is what things are switched off by."""
    secrets = Secrets({"HOLDFAST_SECRET_PIN": "1234"})
    secrets.know("${env:HOLDFAST_SECRET_PIN}")
    with kept_out_of_logs(secrets):
        logging.getLogger("holdfast.test").warning("the pin 1234 is wrong", extra={"execution": 9912345678})
    [line] = lines(stream)
    assert (line["message"], line["execution"]) == ("the pin [redacted] is wrong", 9912345678)


@contextmanager
def not_set_up() -> Iterator[None]:
    """Logging that nobody has set up, and as it was afterwards."""
    root = logging.getLogger()
    ours = logging.getLogger("holdfast")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        ours.setLevel(our_level)


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({}, JsonFormatter),
        ({"HOLDFAST_LOG_FORMAT": "text"}, LineFormatter),
        ({"HOLDFAST_LOG_FORMAT": "JSON"}, JsonFormatter),
    ],
)
def test_logs_are_json_where_there_is_no_terminal(environ: dict[str, str], kind: type[logging.Formatter]) -> None:
    with not_set_up():
        log_to_stderr(environ)
        [handler] = logging.getLogger().handlers
        assert isinstance(handler.formatter, kind)


@pytest.mark.parametrize("name", ["HOLDFAST_LOG_FORMAT", "HOLDFAST_LOG_LEVEL"])
def test_a_wrong_setting_is_named(name: str) -> None:
    with not_set_up(), pytest.raises(HoldfastError, match=name) as raised:
        log_to_stderr({name: "loud"})
    assert raised.value.code is ErrorCode.VALIDATION_ERROR


def test_debug_lines_are_ours_alone() -> None:
    """Those of libraries have headers and the parameters of statements."""
    with not_set_up():
        log_to_stderr({"HOLDFAST_LOG_LEVEL": "debug"})
        assert logging.getLogger("holdfast.run").isEnabledFor(logging.DEBUG)
        assert not logging.getLogger("httpcore").isEnabledFor(logging.DEBUG)
