"""Refusals that a worker would make are shown before a run is started."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cli.main import cli
from clients.local.notes import Kind, noted
from tests.support.cli.terminal import plan_document


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("HOLDFAST_ALLOWED_HOSTS", raising=False)
    Path("shop.yaml").write_text(yaml.safe_dump(plan_document("shop")))
    return "shop.yaml"


@pytest.mark.parametrize("command", [["validate"], ["preview"], ["run", "--dry-run"]])
def test_a_refusal_is_shown_with_the_setting_that_would_allow_it(
    command: list[str], plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a warning, because the worker's settings are what counts. Without a refusal nothing is shown."""
    warned = CliRunner().invoke(cli, [*command, plan])
    assert warned.exit_code == 0
    assert "warning: a worker with this terminal's settings would refuse it" in warned.stderr
    assert "add 127.0.0.1:18105 to HOLDFAST_ALLOWED_HOSTS where the worker is started" in warned.stderr
    monkeypatch.setenv("HOLDFAST_ALLOWED_HOSTS", "127.0.0.1:18000-18999")
    assert "warning" not in CliRunner().invoke(cli, [*command, plan]).stderr
    monkeypatch.setenv("HOLDFAST_MAX_REQUESTS", "3")
    assert "HOLDFAST_MAX_REQUESTS" in CliRunner().invoke(cli, [*command, plan]).stderr
    monkeypatch.setenv("HOLDFAST_ALLOWED_HOSTS", "http://x")
    assert "HOLDFAST_ALLOWED_HOSTS: " in CliRunner().invoke(cli, [*command, plan]).stderr


def test_a_running_lab_is_never_refused(plan: str) -> None:
    with noted(Kind.LAB, [f"127.0.0.1:{port}" for port in range(18000, 19000)]):
        assert "warning" not in CliRunner().invoke(cli, ["validate", plan]).stderr
