"""Notes of labs and servers are believed only if they come from this user's living processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clients.local.notes import Kind, addresses_of, folder, noted
from clients.settings import Settings
from tests.support.paths import ROOT

NOTE = '{"kind": "lab", "addresses": ["127.0.0.1:8080"]}'
HOLDS = """
import sys, signal
from clients.local.notes import Kind, noted
with noted(Kind.LAB, ["127.0.0.1:8080"]):
    print("noted", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_a_note_exists_only_while_its_context_is_open() -> None:
    """Its addresses are in canonical spelling. Its file is private to the user."""
    assert addresses_of(Kind.LAB) == []
    with noted(Kind.LAB, ["127.0.0.1:8080", "[::1]:8081"]), noted(Kind.SERVER, ["127.0.0.1:7233"]):
        assert addresses_of(Kind.LAB) == ["localhost:8080", "localhost:8081"]
        assert addresses_of(Kind.SERVER) == ["localhost:7233"]
        files = list(folder().iterdir())
        assert [path.stat().st_mode & 0o777 for path in files] == [0o600, 0o600]
        assert folder().stat().st_mode & 0o777 == 0o700
    assert list(folder().iterdir()) == []
    assert addresses_of(Kind.LAB) == []


def test_the_note_of_a_killed_process_is_not_believed() -> None:
    """Its file stays until the next note removes it."""
    process = subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", HOLDS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "noted\n"
        assert addresses_of(Kind.LAB) == ["localhost:8080"]
        process.kill()
    assert addresses_of(Kind.LAB) == []
    (left,) = folder().iterdir()
    os.utime(left, (1, 1))
    with noted(Kind.SERVER, []):
        assert not left.exists()


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o602])
def test_a_note_that_other_users_may_read_or_write_is_not_believed(mode: int) -> None:
    with noted(Kind.LAB, ["127.0.0.1:8080"]):
        (path,) = folder().iterdir()
        path.chmod(mode)
        assert addresses_of(Kind.LAB) == []
        path.chmod(0o600)
        folder().chmod(0o755)
        assert addresses_of(Kind.LAB) == []
        with pytest.raises(PermissionError), noted(Kind.LAB, []):
            pass
        folder().chmod(0o700)
        assert addresses_of(Kind.LAB) == ["localhost:8080"]


def test_a_note_of_another_user_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    with noted(Kind.LAB, ["127.0.0.1:8080"]):
        monkeypatch.setattr(os, "getuid", lambda: 4711)
        assert addresses_of(Kind.LAB) == []


def test_a_planted_file_or_link_is_not_believed(tmp_path: Path) -> None:
    """No process holds it, or it leads elsewhere, or it is not a regular file."""
    with noted(Kind.SERVER, []):
        (folder() / "lab-a.json").write_text(NOTE)
        (folder() / "lab-a.json").chmod(0o600)
        (tmp_path / "elsewhere.json").write_text(NOTE)
        (folder() / "lab-b.json").symlink_to(tmp_path / "elsewhere.json")
        os.mkfifo(folder() / "lab-c.json", 0o600)
        assert addresses_of(Kind.LAB) == []


@pytest.mark.parametrize("text", ["", "{", '["x"]', NOTE.replace("127.0.0.1:", ""), NOTE.replace("lab", "x")])
def test_a_malformed_note_is_ignored(text: str) -> None:
    with noted(Kind.LAB, ["127.0.0.1:8080"]):
        (path,) = folder().iterdir()
        path.write_text(text)
        assert addresses_of(Kind.LAB) == []


def test_a_worker_without_the_setting_follows_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks each time it is asked: the lab may start after the worker, and stop before it."""
    rails = Settings().guardrails("127.0.0.1:7233")
    assert rails.open_to == []
    with noted(Kind.LAB, ["127.0.0.1:8080"]):
        assert rails.open_to == ["localhost:8080"]
        assert Settings(allowed_hosts=[]).guardrails("").open_to == []
        assert Settings(allowed_hosts=["a.test:1"]).guardrails("").open_to == ["a.test:1"]
    assert rails.open_to == []
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    assert rails.open_to == []
