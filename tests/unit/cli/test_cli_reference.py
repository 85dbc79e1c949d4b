"""The committed reference of the command line is generated from the command line."""

from __future__ import annotations

from cli.reference import MEANINGS, reference
from domain.errors import ErrorCode
from domain.executions.outcome import ExitCode, code_for
from tests.support.paths import ROOT


def test_the_committed_reference_is_current() -> None:
    """`make docs` writes it."""
    assert (ROOT / "docs" / "cli.md").read_text() == reference()


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitCode)
    assert "steady state not met" in MEANINGS[code_for(ErrorCode.STEADY_STATE_NOT_MET)]
