"""Foreign text in a report or a status controls no form of a report and no panel."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from pydantic import BaseModel

from cli.console import one_line, printable
from cli.ui.live_frame import Moment, frame
from cli.ui.live_lines import symbols
from cli.ui.panels import panel_lines
from clients.store.read_models import LogEntry, LogLevel
from domain.control_characters import STEERING, visible, visible_line
from domain.resilience.state import ResilienceState
from domain.resilience.web_ui_table import resilience_table
from operations.processes.log_lines import LineFormatter
from reports.forms import as_html, as_json, as_junit, as_markdown
from reports.forms.html.data import page_data
from reports.model.report import Report
from tests.support.reports.sample_reports import sample

HOSTILE = "\u202edrow\u2066 \x1b]0;title\x07\x1b[2J \x9b31m \u200b\ufeff\U000e0041\u2028 \x7f"
FORGED = "\nFORGED line\r\nFORGED too\rFORGED again"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def spoiled(value: Any, text: str) -> Any:
    """Append this text to every text in a value, except enumerations: those are words of ours."""
    if isinstance(value, BaseModel):
        fields = {name: spoiled(getattr(value, name), text) for name in type(value).model_fields}
        return type(value).model_construct(**fields)
    if isinstance(value, str) and not isinstance(value, Enum):
        return value + text
    if isinstance(value, (list, tuple)):
        return type(value)(spoiled(inner, text) for inner in value)
    if isinstance(value, dict):
        return {name: spoiled(inner, text) for name, inner in value.items()}
    return value


def hostile_state(text: str) -> ResilienceState:
    """Return a state with every panel filled, and every text in it spoiled."""
    filled: Any = _filled(ResilienceState)
    state: ResilienceState = spoiled(filled, text)
    return state


def _filled(model: type[BaseModel]) -> BaseModel:
    """Return a model with a value in each of its fields, at every level."""
    return model.model_construct(**{name: _value(field.annotation) for name, field in model.model_fields.items()})


def _value(kind: Any) -> Any:
    arguments = [argument for argument in getattr(kind, "__args__", ()) if argument is not type(None)]
    origin = getattr(kind, "__origin__", None)
    if origin in (list, tuple):
        return origin([_value(arguments[0])])
    if origin is dict:
        return {_value(arguments[0]): _value(arguments[1])}
    if arguments:
        return _value(arguments[0])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _filled(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    plain = {str: "text", int: 3, float: 1.5, bool: False, datetime: NOW}
    return plain.get(kind)


REPORT: Report = spoiled(sample(4), HOSTILE)
FORMS: dict[str, Callable[[Report], str]] = {
    "html": as_html.render,
    "json": as_json.render,
    "markdown": as_markdown.render,
    "junit": as_junit.render,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_no_form_of_a_report_holds_control_characters(form: str) -> None:
    text = FORMS[form](REPORT)
    assert STEERING.search(text) is None
    # It is shown, not dropped: somebody tried to deceive.
    assert "202e" in text or form == "junit"
    if form == "junit":
        Xml.fromstring(text)  # noqa: S314 - of our own making
    if form == "json":
        assert HOSTILE in json.loads(text)["title"]


def test_control_characters_in_the_pages_script_are_spelt_out_as_well() -> None:
    """The script would decode what JSON escapes, and the page would then obey it."""
    assert STEERING.search(json.dumps(json.loads(page_data(REPORT)), ensure_ascii=False)) is None


def test_no_panel_and_no_live_view_holds_control_characters() -> None:
    state = hostile_state(HOSTILE)
    lines = panel_lines(state)
    assert any("text" in line for line in lines)
    assert STEERING.search(printable("\n".join(lines))) is None
    log = [LogEntry.model_construct(ts=NOW, level=LogLevel.ERROR, message=HOSTILE, logger="x")]
    moment = Moment(state, log, log_of_store=True, now=NOW, footer=HOSTILE)
    for line in frame(moment, 100, 60, symbols("utf-8")):
        assert STEERING.search(line.plain) is None, line.plain


def test_no_foreign_text_begins_a_line() -> None:
    state = hostile_state(FORGED)
    for text in (*panel_lines(state), *resilience_table(state).splitlines()):
        assert not any(line.startswith("FORGED") for line in text.splitlines()), text
    for line in frame(Moment(state, [], log_of_store=True, now=NOW, footer="x"), 100, 60, symbols("utf-8")):
        assert "\n" not in line.plain


def test_the_table_of_the_web_ui_obeys_no_foreign_text() -> None:
    table = resilience_table(hostile_state(HOSTILE + "| `x` [a](javascript:b) <b>"))
    assert STEERING.search(table) is None
    assert not re.search(r"(?<!\\)(\[a|<b)", table)


def test_a_record_of_the_workers_log_is_a_single_entry() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logger = logging.Logger("a test")
    logger.addHandler(handler)
    try:
        int(FORGED + HOSTILE)
    except ValueError:
        logger.exception("the peer answered %s", FORGED + HOSTILE)
    first, *others = stream.getvalue().rstrip("\n").split("\n")
    assert first.endswith("the peer answered ")
    assert len(others) > 2
    assert all(line.startswith("    ") for line in others)
    assert STEERING.search(stream.getvalue()) is None


def test_control_characters_are_spelt_as_in_json() -> None:
    assert visible("a\u202eb\x1b\U000e0041\ud800\tc\nd") == "a\\u202eb\\u001b\\udb40\\udc41\\ud800\tc\nd"
    assert visible_line("a\r\nb\tc\rd\u2029") == "a b c d\\u2029"
    assert one_line("a\nb\u202e") == "a b\\u202e"
    as_it_was = json.dumps({"a": HOSTILE}, ensure_ascii=False)
    assert json.loads(visible(as_it_was)) == {"a": HOSTILE}


def test_ordinary_text_is_left_as_it_is() -> None:
    for text in ("naïve Grüße", "日本語", "עברית", "العربية", "❤️", "é", "±×–…“”", "a\tb\nc"):
        assert visible(text) == text
