"""Circumstances of the command line: each gives a sentence on standard error and the documented exit code."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from operations.processes.interrupts import signals_to_handle
from tests.support.cli.terminal import Terminal, clean_environment
from tests.support.paths import ROOT

HOLDFAST = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'starter.py'))}"
SHOP = shlex.quote(str(ROOT / "examples" / "shop.yaml"))
NO_SERVER = "TEMPORAL_ADDRESS=127.0.0.1:1"

ONE_OF_EACH = [
    ("H schema >&-", 8, "standard output cannot be written: it is closed"),
    ("H schema >/dev/full", 8, "standard output cannot be written: No space left"),
    ("H validate - <&-", 2, "standard input: cannot be read"),
    ("TEMPORAL_ADDRESS=http://127.0.0.1:7233 H cancel shop", 2, "cannot be used"),
    ("rm -rf .holdfast; touch .holdfast; H demo", 2, ".holdfast"),
    ("H validate /", 2, "cannot be read: Is a directory"),
]
"""A line for a shell, H being the command, with its exit code and words of its sentence."""

OTHERS = [
    ("H --help >/dev/full", 8, "standard output cannot be written"),
    ("{ sleep 1; H schema; } | true", 8, "standard output cannot be written: Broken pipe"),
    ("{ sleep 1; H --help; } | true", 8, ""),
    ("H validate nowhere.yaml 2>&-", 2, ""),
    ("H validate nowhere.yaml 2>/dev/full", 2, ""),
    ("H validate nowhere.yaml >&- 2>&-", 2, ""),
    (f"H validate {SHOP} <&-", 0, ""),
    (f"H validate {SHOP} <&- >&- 2>&-", 8, ""),
    (f"H validate {SHOP} --json >/dev/full", 8, "standard output cannot be written"),
    ("H validate - </dev/null", 2, "the file is empty"),
    ("H validate - </dev/zero", 2, "is larger than 1 MiB"),
    ("H validate /dev/zero", 2, "is larger than 1 MiB"),
    ("H validate /dev/null", 2, "the file is empty"),
    ("H validate nowhere.yaml", 2, "cannot be read: No such file"),
    ("H validate ''", 2, "cannot be read"),
    (f"H validate {'x' * 5000}", 2, "cannot be read: File name too long"),
    ("ln -s loop loop; H validate loop", 2, "cannot be read: Too many levels"),
    ("printf '\\0\\0' > nul.yaml; H validate nul.yaml", 2, "nul.yaml"),
    ("printf '\\377\\376' > odd.yaml; H validate odd.yaml", 2, "is not UTF-8"),
    ("mkfifo pipe; (echo name: x > pipe &); H validate pipe", 2, "problem"),
    (f"H validate {SHOP}/x", 2, "cannot be read: Not a directory"),
    ("TEMPORAL_ADDRESS=127.0.0.1:99999 H cancel shop", 2, "cannot be used"),
    ("TEMPORAL_ADDRESS=127.0.0.1:0 H cancel shop", 2, "cannot be used"),
    ("TEMPORAL_ADDRESS=: H cancel shop", 2, "cannot be used"),
    ("TEMPORAL_ADDRESS=a:b:c H cancel shop", 2, "cannot be used"),
    ("TEMPORAL_ADDRESS=$(printf 'a\\033[31m') H cancel shop", 2, "cannot be used"),
    ("TEMPORAL_ADDRESS='[::1]:1' H cancel shop", 3, "no Temporal server answers at [::1]:1"),
    ("TEMPORAL_ADDRESS='a b' H halt --reason x", 3, "no database"),
    (f"{NO_SERVER} H cancel shop", 3, "no Temporal server answers"),
    (f"{NO_SERVER} H status shop", 3, "the run cannot be asked"),
    ("TEMPORAL_CONFIG_FILE=/ H cancel shop", 2, "configuration cannot be used"),
    ("printf '\\377' > t; TEMPORAL_CONFIG_FILE=t H cancel shop", 2, "configuration cannot be used"),
    (f"env -u HOME H validate {SHOP}", 0, ""),
    (f"HOME=/nowhere H validate {SHOP}", 0, ""),
    (f"TERM=nonsense H validate {SHOP}", 0, ""),
    (f"COLUMNS=0 LINES=-1 H validate {SHOP}", 0, ""),
    ("COLUMNS=0 H --help", 0, ""),
    (f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 H validate {SHOP}", 0, ""),
    ("PYTHONIOENCODING=ascii H validate 'a\u00bb.yaml'", 2, "cannot be read"),
    ("H validate $(printf '\\377')", 2, "cannot be read"),
    (f"mkdir gone; cd gone; rmdir ../gone; H validate {SHOP}", 0, ""),
    ("mkdir gone; cd gone; rmdir ../gone; H list", 3, "there is no database"),
    ("HOLDFAST_DATABASE_URL=nonsense H list", 2, "HOLDFAST_DATABASE_URL cannot be used"),
    ("HOLDFAST_DATABASE_URL=sqlite:////dev/null/x H list", 3, "there is no database"),
    ("echo no database > d; HOLDFAST_DATABASE_URL=sqlite:///d H list", 3, "error: "),
    ("H init --output /dev/null/plan.yaml", 2, "error: "),
    ("H nonsense", 2, "No such command"),
    (f"H report x --html /dev/null/x {NO_SERVER}", 2, ""),
]


def outcome(line: str, folder: Path) -> tuple[int, str]:
    folder.mkdir()
    script = f'H() {{ {HOLDFAST} "$@"; }}; ' + line.replace("env -u HOME H", f"env -u HOME {HOLDFAST}")
    if line.endswith("| true"):
        script += "; exit ${PIPESTATUS[0]}"
    done = subprocess.run(  # noqa: S603 - our own command, in a shell for its redirections
        ["/bin/bash", "-c", script],
        cwd=folder, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, (done.stderr + done.stdout).decode(errors="replace")


def check(circumstances: list[tuple[str, int, str]], folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(lambda numbered: outcome(numbered[1][0], folder / str(numbered[0])), enumerate(circumstances))
        )
    wrong = [
        (line, code, text)
        for (line, wanted, words), (code, text) in zip(circumstances, found, strict=True)
        if code != wanted or words not in text or "Traceback" in text or "This is a defect" in text or "\x1b" in text
    ]
    assert wrong == []


def test_one_circumstance_of_each_kind_gives_its_sentence_and_exit_code(tmp_path: Path) -> None:
    check(ONE_OF_EACH, tmp_path)


@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_every_other_circumstance_gives_its_sentence_and_exit_code(tmp_path: Path) -> None:
    check(OTHERS, tmp_path)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT])
async def test_a_closed_terminal_ends_a_lab_in_order(number: signal.Signals, tmp_path: Path) -> None:
    terminal = await Terminal.start("lab", "--free-ports", folder=tmp_path, env={})
    try:
        await terminal.until("Ctrl-C ends it")
        terminal.signal(number)
        assert await terminal.end() == 0, terminal.text
    finally:
        await terminal.close()


def test_a_signal_that_our_parent_ignores_stays_ignored() -> None:
    was = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in signals_to_handle()
        assert signal.SIGQUIT in signals_to_handle()
    finally:
        signal.signal(signal.SIGHUP, was)
