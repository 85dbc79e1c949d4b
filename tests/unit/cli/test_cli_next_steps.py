"""Every message suggests the next step, and every command that a message names exists."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from temporalio.service import RPCError, RPCStatusCode

from cli.console import as_holdfast_error
from cli.main import cli, every_command, every_subcommand
from cli.ui.next_steps import after_error, after_faults, after_run
from domain.cases.real_verdicts import ALLOW_TWO
from domain.errors import ERRORS, ErrorCode, HoldfastError
from domain.executions.execution import Recovery, RunFailure, RunStatus, Verdict
from domain.executions.outcome import RunOutcome
from domain.executions.windows import LockReport
from domain.resilience.model import CaseCounts, CaseVerdict, Phase, ResilienceSummary
from tests.support.cli.terminal import plan_document
from tests.support.paths import ROOT

COMMAND = re.compile(r"`(?:[A-Z_]+=\S+ )?holdfast ([a-z][a-z-]*)")
OPTION = re.compile(r"`holdfast ((?:schedule )?[a-z]+) (--[a-z-]+)")
NOBODY = {"TEMPORAL_ADDRESS": "127.0.0.1:1"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with plans and without a store; no server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATABASE_URL", raising=False)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    away = plan_document("shop")
    away["system"]["proxy"] = "http://proxy.example.internal:8105"
    away["safety"]["allowed_hosts"] = ["127.0.0.1", "proxy.example.internal"]
    (tmp_path / "away.yaml").write_text(yaml.safe_dump(away))
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(plan_document("shop")))
    (tmp_path / "wrong.yaml").write_text("name: shop\n")
    return tmp_path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("vaildate shop.yaml", "Did you mean 'validate'?"),
        ("lsit", "Did you mean 'list'?"),
        ("foo", "Try 'holdfast --help' for help"),
        ("validate", "Try 'holdfast validate --help' for help"),
        ("run shop.yaml --forse", "Did you mean '--force'"),
        ("run shop.yaml --wait --force", "wait for the other run, or have it cancelled"),
        ("run shop.yaml --json no/where.json", "there is no folder no"),
        ("validate nowhere.yaml", "give the path of a YAML or JSON file"),
        ("validate wrong.yaml", "next: fix them, then `holdfast validate wrong.yaml` again"),
        ("preview wrong.yaml", "next: fix them, then `holdfast validate wrong.yaml` again"),
        ("validate shop.yaml", "next: `holdfast preview shop.yaml`"),
        ("preview shop.yaml", "next: `holdfast run shop.yaml`"),
        ("run shop.yaml --dry-run", "next: `holdfast run shop.yaml`"),
        ("run away.yaml", "use --yes"),
        ("run away.yaml --clean", "removes every recording and rule of these services, no matter who made them"),
        ("list", "set HOLDFAST_DATABASE_URL to the worker's value"),
        ("faults", "set HOLDFAST_DATABASE_URL to the worker's value"),
        ("status shop", "`holdfast server`"),
        ("schema --output s.json", "next: your editor checks plans"),
        ("init --output plan.yaml", "next: replace REPLACE_ME in name, system.namespace"),
        ("init --output shop.yaml", "--overwrite replaces it"),
        ("lab --topology nowhere.yaml", "`holdfast lab` simulates without --topology"),
        ("lab --generate ring:3", "layered:20"),
        ("lab --topology shop.yaml --generate chain:5", "give one"),
        ("server --config nowhere.yaml", "temporal-dev.yaml"),
    ],
)
def test_every_output_suggests_the_next_step(arguments: str, words: str) -> None:
    """Wrong use, missing things, and commands that are one step of several."""
    result = CliRunner().invoke(cli, arguments.split())
    assert words in result.output, result.output


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_has_a_next_step(code: ErrorCode) -> None:
    """Its own hint, or else the hint of its code."""
    own = as_holdfast_error(HoldfastError(code, "it is so", hint="do this"))
    assert str(own) == "it is so. do this"
    assert as_holdfast_error(HoldfastError(code, "it is so")).hint == after_error(code)
    assert after_error(code)


@pytest.mark.parametrize("status", list(RPCStatusCode))
def test_every_error_of_a_server_has_a_next_step(status: RPCStatusCode) -> None:
    """Whether the server refuses or stays silent."""
    if status is not RPCStatusCode.OK:
        error = as_holdfast_error(RPCError("it says no", status, b""))
        assert error.hint
        assert error.code is not ErrorCode.UNEXPECTED


def test_every_end_of_a_run_has_a_next_step() -> None:
    """With a verdict, with an error, without recovery, without anything."""
    some: dict[str, Any] = {"workflow_id": "w", "run_id": "r"}
    failures = [
        RunFailure(code=code, error_class=kind.error_class, phase=Phase.DONE, message="m", recovery=Recovery.VERIFIED)
        for code, kind in ERRORS.items()
    ]
    verdicts = [
        ResilienceSummary.model_validate(
            {"execution_id": 1, "plan": "shop", "namespace": "shop", "verdict": verdict, "recovery": "verified"}
            | {"cases": CaseCounts(), "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:00Z"}
        )
        for verdict in Verdict
    ]
    outcomes = [RunOutcome(status=RunStatus.FAILED, failure=failure, **some) for failure in failures]
    outcomes += [RunOutcome(status=RunStatus.COMPLETED, summary=summary, **some) for summary in verdicts]
    outcomes += [RunOutcome(status=status, **some) for status in RunStatus]
    unverified = LockReport(execution_id=1, recovery_verified=False)
    outcomes.append(RunOutcome(status=RunStatus.COMPLETED, lock=unverified, **some))
    assert all(after_run(outcome, "shop") for outcome in outcomes)
    assert "`holdfast faults`" in after_run(outcomes[-1], "shop")


def test_pairs_in_doubt_are_a_reason_to_allow_two_faults() -> None:
    """Only where the worker allows a single fault: otherwise the case has a different reason."""
    doubted = CaseVerdict(case_id="a+b", outcome="measured", verdict=Verdict.INCONCLUSIVE, reason=f"why; {ALLOW_TWO}")
    summary = ResilienceSummary.model_validate(
        {"execution_id": 1, "plan": "shop", "namespace": "shop", "verdict": "inconclusive", "recovery": "verified"}
        | {"cases": CaseCounts(), "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:00Z"}
    )
    steps = []
    for case in (doubted, doubted.model_copy(update={"reason": "too few requests"})):
        found = summary.model_copy(update={"inconclusive_cases": [case]})
        steps.append(after_run(RunOutcome(workflow_id="w", run_id="r", status=RunStatus.COMPLETED, summary=found), "x"))
    assert ["HOLDFAST_MAX_ACTIVE_FAULTS=2" in step for step in steps] == [True, False]


def test_every_command_named_in_a_message_exists() -> None:
    """In all messages, hints and descriptions of the program: renaming a command must take them along."""
    named: dict[str, set[str]] = {}
    for folder in ("cli", "clients", "activities", "domain", "operations", "workflows", "lab"):
        for path in (ROOT / folder).rglob("*.py"):
            for command in COMMAND.findall(path.read_text()):
                named.setdefault(command, set()).add(path.name)
    for document in ("README.md", "docs/errors.md", "docs/architecture.md"):
        for command in COMMAND.findall((ROOT / document).read_text()):
            named.setdefault(command, set()).add(document)
    assert len(named) > 8
    assert {command: where for command, where in named.items() if command not in every_command()} == {}


def test_every_option_named_in_a_message_exists() -> None:
    """`holdfast run --clean` would be no way out without --clean."""
    named = set()
    for folder in ("cli", "clients", "activities", "domain", "operations", "workflows", "lab"):
        for path in (ROOT / folder).rglob("*.py"):
            named |= set(OPTION.findall(path.read_text()))
    assert ("run", "--clean") in named
    known = {
        (name, flag)
        for name, command in every_subcommand().items()
        for parameter in command.params
        for flag in parameter.opts
    }
    assert named - known == set()


def test_a_run_that_found_leftovers_ends_with_the_way_out() -> None:
    """In the last line of `holdfast run`."""
    failure = RunFailure(
        code=ErrorCode.ENVIRONMENT_NOT_CLEAN,
        error_class=ERRORS[ErrorCode.ENVIRONMENT_NOT_CLEAN].error_class,
        phase=Phase.GENERATING_CASES,
        message="m",
        recovery=Recovery.NOT_NEEDED,
    )
    outcome = RunOutcome(workflow_id="w", run_id="r", status=RunStatus.FAILED, failure=failure)
    assert "`holdfast run --clean`" in after_run(outcome, "shop")


def test_faults_mentions_the_worker_only_if_something_is_on() -> None:
    """The worker closes it."""
    assert "`holdfast worker`" in after_faults(anything=True)
    assert "worker" not in after_faults(anything=False)


@pytest.mark.parametrize("command", ["watch", "cancel", "run"])
async def test_a_missing_server_is_reported_with_how_to_start_it(here: Path, command: str) -> None:
    """In a process, because these commands take over the signals."""
    import sys  # noqa: PLC0415

    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "starter.py"), command),
        *(("shop.yaml", "--yes") if command == "run" else ("shop",)),
        cwd=here,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 3
    assert "no Temporal server answers at 127.0.0.1:1. start one with `holdfast server`" in errors.decode()


def test_an_error_as_json_has_the_same_hint(here: Path) -> None:
    assert here
    result = CliRunner().invoke(cli, ["list", "--json"])
    assert json.loads(result.stdout)["hint"] in result.stderr
