"""`holdfast preview` and `run --dry-run` show everything and touch nothing."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest
import yaml
from click.testing import CliRunner

from cli.main import cli
from domain.preview.model import Preview
from tests.support.cli.terminal import plan_document
from tests.support.paths import ROOT

PLANTED = "planted-7f3a"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server, no store and no network: opening a socket or looking up a name fails."""

    def touched(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("the network was touched")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    monkeypatch.delenv("HOLDFAST_TIMING", raising=False)
    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, touched)


def plan_file(tmp_path: Path, **changes: Any) -> str:
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(plan_document("shop", **changes)))
    return str(path)


@pytest.mark.parametrize("arguments", [("preview",), ("run", "--dry-run")])
def test_the_preview_shows_everything_in_readable_lines(arguments: tuple[str, ...]) -> None:
    """Cases, requests, faults, workloads, duration, recovery, and the command that starts the run."""
    result = CliRunner().invoke(cli, [*arguments, str(ROOT / "examples" / "shop.yaml")])
    assert result.exit_code == 0, result.output
    for words in (
        "cases: 16 (1 baseline, 5 single, 10 pairs), 16 measured, 0 excluded",
        "real requests: 225 times GET http://127.0.0.1:18080/api/home",
        "faults: 5, one at a time, each ends by itself after 5:00 min",
        "inventory: delay, which is pod-network delay",
        "time=5000; interface=eth0; namespace=shop; labels=app=inventory",
        "  20  while each service is broken, 4 requests each",
        "services that receive such calls are broken once more: up to 10 more\n  faults, in rounds 2 to 3",
        "no pair is really broken: where the worker allows two faults at once (HOLDFAST_MAX_ACTIVE_FAULTS=2)",
        "recording on again",
        "pods replaced up to 8 times",
        "rules: at least 10",
        "duration: at least ",
        "a request takes 100ms",
        "worst time to recovery: 11:00 min for what makes services fail",
        "next: `holdfast run ",
    ):
        assert words in result.output, words
    assert max(len(line) for line in result.output.splitlines()[:-1]) <= 120


def test_pairs_with_two_real_faults_are_announced_where_the_worker_allows_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOLDFAST_MAX_ACTIVE_FAULTS", "2")
    result = CliRunner().invoke(cli, ["preview", str(ROOT / "examples" / "shop.yaml")])
    assert "pairs really broken, two faults at once: up to 10 where one failure" in result.output
    assert "pairs in doubt, with two real faults" in result.output
    assert "fault of a pair" in result.output


def test_the_preview_shows_how_many_faults_are_on_at_once(tmp_path: Path) -> None:
    """People must see it before they agree to it."""
    plan = plan_document("shop", safety={"fault_ttl": "5m", "max_active_faults": 3})
    for service in plan["services"]:
        service["calls"] = []
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    result = CliRunner().invoke(cli, ["preview", str(tmp_path / "plan.yaml")])
    assert "faults: 5, up to 3 at once and never two on one call path (safety.max_active_faults)" in result.output
    assert "5 faults, up to 3 at once" in result.output


def test_both_commands_give_the_same_preview_as_json(tmp_path: Path) -> None:
    """On standard output, or in the file of `run --json`."""
    path = plan_file(tmp_path)
    printed = CliRunner().invoke(cli, ["preview", "--json", path])
    found = Preview.model_validate_json(printed.stdout)
    assert (found.requests.total, found.cases.measured) == (225, 16)
    written = CliRunner().invoke(cli, ["run", path, "--dry-run", "--json", str(tmp_path / "found.json")])
    assert written.exit_code == 0
    assert json.loads((tmp_path / "found.json").read_text()) == json.loads(printed.stdout)


def test_the_assumed_time_of_a_request_can_be_set(tmp_path: Path) -> None:
    """With a unit, as everywhere; without a unit it is refused."""
    path = plan_file(tmp_path)
    default, slow = (
        Preview.model_validate_json(CliRunner().invoke(cli, ["preview", "--json", path, *more]).stdout)
        for more in ([], ["--assume", "2s"])
    )
    assert (default.assumed_request_seconds, slow.assumed_request_seconds) == (0.1, 2)
    assert slow.at_least_seconds > default.at_least_seconds
    wrong = CliRunner().invoke(cli, ["preview", path, "--assume", "2"])
    assert wrong.exit_code == 2
    assert "needs a unit" in wrong.output


def test_intervals_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the worker's do: a preview with different intervals would promise a different duration."""
    path = plan_file(tmp_path)
    production = Preview.model_validate_json(CliRunner().invoke(cli, ["preview", "--json", path]).stdout)
    monkeypatch.setenv("HOLDFAST_TIMING", "fast")
    fast = Preview.model_validate_json(CliRunner().invoke(cli, ["preview", "--json", path]).stdout)
    assert (production.timing, fast.timing) == ("production", "fast")
    assert fast.worst_recovery_seconds < production.worst_recovery_seconds


def test_excluded_cases_are_shown_with_their_reason(tmp_path: Path) -> None:
    """If there are many, with how many more there are."""
    path = plan_file(tmp_path, exclude=[{"case": "*+*", "reason": "first the singles"}, "reviews", "shipping+*"][:1])
    output = CliRunner().invoke(cli, ["preview", path]).output
    assert "6 measured, 10 excluded" in output
    assert "bestsellers+inventory: excluded by the plan: first the singles" in output


def test_the_preview_shows_the_conditions_that_end_a_run_early(tmp_path: Path) -> None:
    """The deadline, and the requests that are sent to watch the system."""
    watch = {"error_rate": "20%", "every": "2s"}
    path = plan_file(tmp_path, stop={"deadline": "90m", "request": watch})
    output = CliRunner().invoke(cli, ["preview", path]).output
    assert "and one every 2s, from before the recording until all is off (stop.request)" in output
    assert "but it is stopped after 1:30 h (stop.deadline); closing comes on top" in output
    plain = CliRunner().invoke(cli, ["preview", plan_file(tmp_path)]).output
    assert "stop." not in plain


def test_a_login_is_shown_without_its_query(tmp_path: Path) -> None:
    """It is a request that somebody's system receives, too."""
    login = {"url": "http://127.0.0.1:18080/login?key=planted", "json": {"user": "planted"}}
    path = plan_file(tmp_path, request=plan_document("shop")["request"] | {"login": login})
    output = CliRunner().invoke(cli, ["preview", path]).output
    assert "and POST http://127.0.0.1:18080/login for the token: once by each process" in output
    assert "planted" not in output
    assert "for the token" not in CliRunner().invoke(cli, ["preview", plan_file(tmp_path)]).output


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if this environment has it."""
    monkeypatch.setenv("CHECKOUT_TOKEN", PLANTED)
    for more in ([], ["--json"]):
        result = CliRunner().invoke(cli, ["preview", str(ROOT / "examples" / "minimal.yaml"), *more])
        assert result.exit_code == 0
        assert PLANTED not in result.output
        assert "authorization" not in result.output
        assert "CHECKOUT_TOKEN" not in result.output


def test_an_invalid_plan_is_reported_as_by_validate(tmp_path: Path) -> None:
    """Every problem, with exit code 2."""
    path = plan_file(tmp_path, slo={})
    for arguments in (["preview", path], ["run", "--dry-run", path]):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 2
        assert "slo: has no threshold" in result.stderr
        assert result.stdout == ""
