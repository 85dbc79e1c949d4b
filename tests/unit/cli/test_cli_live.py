"""The live view of `watch`, frame by frame: what is shown where, at each size of the terminal."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console, Group

from cli.console import coloured
from cli.ui.live_frame import Moment, frame
from cli.ui.live_lines import highlighted, symbols
from cli.ui.live_log import LogReader, RunLog
from cli.ui.panels import panel_lines
from clients.store.read_models import LogEntry, LogLevel
from clients.store.store import Store
from domain.executions.state import WindowRow
from domain.executions.windows import WindowKind, WindowState
from domain.faults.model import InjectionState
from domain.resilience.model import CaseVerdict, Phase
from domain.resilience.state import InjectionRow, LoadPanel, PhaseTime, ResilienceState
from tests.support.cli.stored import stored_run

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
MARKS = symbols("utf-8")
SERVICES = [f"service-{number}" for number in range(30)]


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def state(*phases: Phase, **facts: Any) -> ResilienceState:
    """A run that entered a phase every ten seconds, the last one four seconds ago."""
    times = [
        PhaseTime(phase=phase, started_at=ago(4 + 10 * place), finished_at=ago(10 * place - 6) if place else None)
        for place, phase in reversed(list(enumerate(reversed(phases))))
    ]
    known = {"plan": "shop", "namespace": "shop", "environment": "lab", "status": "running", "execution_id": 7}
    return ResilienceState.model_validate(known | {"phase": phases[-1], "phases": times} | facts)


THREE = (Phase.GENERATING_CASES, Phase.ANALYZING_PATTERNS, Phase.INJECTING_AND_REPLAYING)
LOADING = (*THREE, Phase.RULES_READY, Phase.LOAD_TEST_BASELINE)


def injecting() -> ResilienceState:
    rows = [InjectionRow(service=name, state=InjectionState.RECOVERED, replay_status=503) for name in SERVICES]
    rows[20] = InjectionRow(service=SERVICES[20], state=InjectionState.RUNNING, fault_name="hf-20")
    fault = WindowRow(
        window_id="f", kind=WindowKind.FAULT, state=WindowState.OPEN, service=SERVICES[20], peer_name="hf-20",
        began_at=ago(3),
    )  # fmt: skip
    return state(*THREE, injections=rows, injections_completed=29, injections_running=1, windows=[fault])


def loading() -> ResilienceState:
    cases = [
        CaseVerdict(case_id=f"{name}+other", outcome="measured", error_rate=100 - place, p50_ms=12, max_ms=20)
        for place, name in enumerate(SERVICES)
    ]
    load = LoadPanel(batches_total=4, batches_done=2, batch_size=18, cases_total=60, cases_done=30, cases=cases)
    return state(*LOADING, load=load, eta_seconds=12)


def drawn(shown: ResilienceState | None, width: int, height: int, log: list[LogEntry] | None = None) -> list[str]:
    """Return the lines that the terminal shows, without colours."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False, highlight=False)
    moment = Moment(shown, log or [], True, NOW, "the footer")
    console.print(Group(*frame(moment, width, height, MARKS)))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def entry(message: str, level: LogLevel = LogLevel.INFO, seconds: float = 0) -> LogEntry:
    return LogEntry(ts=ago(seconds), level=level, message=message)


LONG = "a message that goes on and on " * 20
LOG = [entry(f"line {number}", seconds=100 - number) for number in range(50)] + [entry(LONG, LogLevel.ERROR)]


@pytest.mark.parametrize("size", [(20, 1), (20, 3), (30, 8), (40, 12), (80, 24), (120, 40), (300, 100)], ids=str)
@pytest.mark.parametrize(
    "shown", [None, ResilienceState(), injecting(), loading()], ids=["nothing", "new", "faults", "load"]
)
def test_a_frame_fits_its_terminal(shown: ResilienceState | None, size: tuple[int, int]) -> None:
    """No line too many, which would scroll, and none too wide. The way out is always shown."""
    width, height = size
    lines = drawn(shown, width, height, LOG)
    assert len(lines) == height
    assert all(cell_len(line) <= width for line in lines)
    assert lines[-1] == "the footer"


def test_the_stages_show_their_times_and_the_stages_to_come() -> None:
    """Done, under way and to come, with the remaining work where it is known."""
    text = "\n".join(drawn(loading(), 200, 40))
    assert "✓ INJECTING_AND_REPLAYING 10 s" in text
    assert "▸ LOAD_TEST_BASELINE 4 s" in text
    assert "· DONE" in text
    assert "30 of 60 cases, about 12 s left" in text


def test_a_failed_run_shows_the_stage_that_failed() -> None:
    """And the end that it came to."""
    text = "\n".join(drawn(state(*THREE, Phase.FAILED, error_code="PEER_ERROR", error_message="500"), 200, 40))
    assert "✓ ANALYZING_PATTERNS 10 s  ✗ INJECTING_AND_REPLAYING 10 s" in text
    assert "✗ FAILED" in text
    assert "error PEER_ERROR: 500" in text


def test_active_windows_stand_above_everything_that_may_be_cut() -> None:
    """With the name at the peer and since when. Windows that were not seen to be off stand out."""
    assert "on now: fault in service-20 (hf-20) open 3 s" in drawn(injecting(), 80, 16)
    left = WindowRow(window_id="r", kind=WindowKind.RULES, state=WindowState.UNVERIFIED, detail="still answers")
    assert "on now: rules NOT seen to be off: still answers" in drawn(state(*THREE, windows=[left]), 80, 16)
    closed = left.model_copy(update={"state": WindowState.CLOSED})
    assert "on now: nothing" in drawn(state(*THREE, windows=[closed]), 80, 16)


def test_the_stage_under_way_gets_the_space() -> None:
    """Of thirty services that do not fit, the broken one; of cases, the worst; and how many lines are not shown."""
    faults = drawn(injecting(), 80, 24)
    assert any(line.split()[:2] == ["service-20", "Running"] for line in faults)
    assert any(" more lines" in line for line in faults)
    cases = drawn(loading(), 80, 24)
    assert any(line.startswith("  service-0+other") and "errors 100%" in line for line in cases)
    assert not any("Recovered" in line for line in cases)


def test_a_large_terminal_shows_every_line_of_every_panel() -> None:
    """In the same order as `status`."""
    text = "\n".join(drawn(injecting(), 120, 100))
    assert " more lines" not in text
    places = [text.index(f"\n  {name:<24} ") for name in SERVICES]
    assert places == sorted(places)


def test_warnings_and_errors_stand_out_and_are_not_cut() -> None:
    """Their level is in words too, for terminals without colours."""
    log = [entry("as ever", seconds=9), entry(LONG, LogLevel.WARN, 8), entry("broken", LogLevel.ERROR, 7)]
    moment = Moment(state(*THREE), log, True, NOW, "")
    lines = frame(moment, 100, 60, MARKS)
    styles = {line.plain: str(line.style) for line in lines}
    assert styles["12:00:21  INFO   as ever"] == ""
    assert styles["12:00:23  ERROR  broken"] == "bold red"
    warned = [line for line in lines if str(line.style) == "bold yellow"]
    assert warned[0].plain.startswith("12:00:22  WARN   a message that")
    assert " ".join(word for line in warned for word in line.plain.split()).count("goes on and on") == 20


def test_the_newest_lines_of_the_log_are_at_the_bottom() -> None:
    shown = [line for line in drawn(state(*THREE), 80, 24, LOG[:-1]) if "line " in line]
    assert shown[-1].endswith("line 49")
    assert [int(line.split()[-1]) for line in shown] == list(range(50 - len(shown), 50))


def test_foreign_text_does_not_control_the_terminal() -> None:
    """An escape sequence in a name, an error or a log line is shown, and has no effect."""
    bad = "\x1b[2Jgone\r\nnext\x07\x9b" + "\t" * 40
    row = InjectionRow(service="cart", state=InjectionState.FAILED, error=bad)
    window = WindowRow(window_id="f", kind=WindowKind.FAULT, state=WindowState.UNVERIFIED, detail=bad, service=bad)
    shown = state(*THREE, Phase.FAILED, injections=[row], windows=[window], error_message=bad, waiting_for=bad)
    lines = drawn(shown, 200, 60, [entry(bad, LogLevel.ERROR), entry(bad)])
    assert len(lines) == 60
    assert len(drawn(shown, 40, 20, [entry(bad, LogLevel.ERROR), entry(bad)])) == 20
    text = "\n".join(lines)
    assert not [character for character in text.replace("\n", "") if not character.isprintable()]
    assert text.count("\\u001b[2Jgone") == 7


@pytest.mark.parametrize(
    ("line", "style"),
    [
        ("  8 passed, 2 failed, 0 invalid", "bold red"),
        ("  10 failed", "bold red"),
        ("  8 passed, 0 failed", None),
        ("recovery unverified", "bold red"),
        ("  reviews  errors 12.5%, p50 3 ms", "bold red"),
        ("  reviews  errors 0%, p50 3 ms", None),
        ("  reviews  NOT stable (503) after 3 s", "bold red"),
    ],
)
def test_only_bad_news_is_red(line: str, style: str | None) -> None:
    """Zero failures and zero errors are not."""
    found = {str(span.style) for span in highlighted(line).spans}
    assert ("bold red" in found) is (style == "bold red")


def test_marks_are_plain_if_the_terminal_has_no_symbols() -> None:
    """Otherwise drawing would fail half-way."""
    for encoding in ("ascii", "latin-1", "nonsense"):
        "".join(symbols(encoding).values()).encode("ascii")
    assert symbols("utf-8")["done"] == "✓"


async def test_the_log_comes_from_the_store_if_it_has_the_run(store: Store) -> None:
    """Otherwise it comes from the run's state, with levels of our own. Our own remarks are in both."""
    execution = await stored_run(store)
    log = RunLog()
    failed = InjectionRow(service="cart", state=InjectionState.FAILED, error="no pod")
    log.state(state(*THREE, injections=[failed]))
    log.remark("no worker has answered")
    assert not log.of_store
    levels = {line.message: line.level for line in log.entries()}
    assert levels["cart                 failed: no pod"] is LogLevel.WARN
    assert levels["no worker has answered"] is LogLevel.WARN
    await store.logs.add(execution.execution_id, "key", LogLevel.ERROR, "from the store")
    reader = LogReader(log)
    await reader.read(execution.execution_id)
    await reader.close()
    assert log.of_store
    assert {line.message for line in log.entries()} >= {"no worker has answered", "from the store"}
    assert "cart" not in " ".join(line.message for line in log.entries())


async def test_without_a_store_the_view_goes_on(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`watch` needs only Temporal, and creates no empty database."""
    monkeypatch.setenv("HOLDFAST_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/none.db")
    reader = LogReader(RunLog())
    await reader.read(7)
    await reader.close()
    assert not (tmp_path / "none.db").exists()


async def test_the_newest_lines_of_a_long_log_are_read(store: Store) -> None:
    """In order, and no more than requested."""
    execution = await stored_run(store)
    for number in range(6):
        await store.logs.add(execution.execution_id, f"key {number}", LogLevel.INFO, f"line {number}")
    newest = await store.logs.newest(execution.execution_id, 3)
    assert [line.message for line in newest] == ["line 3", "line 4", "line 5"]


@pytest.mark.parametrize(
    ("term", "no_color", "wanted"),
    [("xterm-256color", "", True), ("xterm-256color", "1", False), ("dumb", "", False), (None, "", True)],
)
def test_colour_is_for_terminals_that_support_it(
    term: str | None, no_color: str, wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others would show the escape sequences themselves."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.delenv("TERM", raising=False)
    if term is not None:
        monkeypatch.setenv("TERM", term)
    assert coloured() is wanted


def test_a_line_of_a_panel_is_a_single_line() -> None:
    """Text from a peer must not pass for a line of ours, in `status` and in piped `watch` either."""
    row = InjectionRow(service="cart", state=InjectionState.FAILED, error="no\nverdict passed\x1b[1m")
    shown = state(*THREE, Phase.FAILED, injections=[row], error_message="no\r\nrecovery verified")
    assert all(line.isprintable() for line in panel_lines(shown))
    assert "recovery verified" not in panel_lines(shown)
