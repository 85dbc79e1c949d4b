"""`holdfast recover`, `halt` and `unhalt` where nobody else is needed: wrong usage, questions and messages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cli.main import cli, every_command
from clients.store.store import Store
from domain.names import fault_name, named_fault, record_id, record_of_session
from tests.support.cli.fixtures import Start
from tests.support.cli.stored import invoke, stored_run
from tests.support.cli.terminal import plan_document


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("recover --direct shop.yaml --execution 7", "the peers know no executions"),
        ("recover --all --execution 7", "give one"),
        ("recover --within soon", "'soon' is not a duration"),
        ("recover --direct nowhere.yaml", "nowhere.yaml: cannot be read"),
        ("halt", "Missing option '--reason'"),
    ],
)
def test_wrong_usage_is_reported(arguments: str, words: str) -> None:
    """It is reported before anybody is asked anything."""
    result = CliRunner().invoke(cli, arguments.split())
    assert result.exit_code == 2
    assert words in result.output


def away(folder: Path) -> str:
    document = plan_document("shop")
    document["system"]["faults"] = "http://faults.example.internal:8103"
    document["safety"]["allowed_hosts"] = ["127.0.0.1", "faults.example.internal"]
    path = folder / "away.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_direct_recovery_on_somebody_elses_machine_needs_a_yes(tmp_path: Path) -> None:
    """The question shows what would happen, and first warns that a run may be in progress."""
    result = CliRunner().invoke(cli, ["recover", "--direct", away(tmp_path)])
    assert result.exit_code == 2
    for words in ("a run under way cannot be detected", "faults.example.internal:8103", "use --yes"):
        assert words in result.output


def without_a_server(folder: Path) -> dict[str, str]:
    return {"TEMPORAL_ADDRESS": "127.0.0.1:1", "HOLDFAST_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/holdfast.db"}


@pytest.mark.usefixtures("store")
async def test_recover_without_a_server_suggests_asking_the_peers_alone(holdfast: Start, tmp_path: Path) -> None:
    """Windows may be running, which only the server knows: nothing is closed behind their backs."""
    terminal = await holdfast("recover", "--all", **without_a_server(tmp_path))
    assert await terminal.end() == 3
    assert "`holdfast recover --direct PLAN` asks the peers alone" in terminal.text


async def test_a_halt_takes_effect_although_the_server_is_away(holdfast: Start, tmp_path: Path, store: Store) -> None:
    """No new run begins. It is an error that the running runs could not be ended."""
    terminal = await holdfast("halt", "--reason", "a fire", **without_a_server(tmp_path))
    assert await terminal.end() == 3
    assert "a fire. New runs are refused until `holdfast unhalt`" in terminal.text
    halt = await store.halting.halted()
    assert halt is not None
    assert halt.reason == "a fire"


async def test_every_command_that_lists_runs_shows_the_halt(store: Store) -> None:
    """On standard error, which leaves the JSON as it is."""
    await stored_run(store)
    await store.halting.halt("a fire", "ada")
    listed = await invoke("list", "--json")
    assert "by ada: a fire" in listed.stderr
    assert len(json.loads(listed.stdout)) == 1
    faults = await invoke("faults", "--json")
    assert json.loads(faults.stdout)["halted"]["reason"] == "a fire"
    assert "by ada: a fire" in (await invoke("faults")).output
    opened = await invoke("unhalt", "--json")
    assert json.loads(opened.stdout)["was"]["by"] == "ada"
    assert (await invoke("list")).stderr == ""
    assert "nothing was halted" in (await invoke("unhalt")).output


@pytest.mark.parametrize("service", ["reviews", "a", "my-hf-1-service", "s" * 63])
def test_names_at_the_peers_identify_their_run_and_service(service: str) -> None:
    """Any name made by `fault_name` and `record_id` is read back. A name that was cut still finds its service."""
    execution_id = (int(datetime.now(UTC).timestamp()) << 21) + 5
    name = fault_name(execution_id, service, "01a1fae8-64ee-714e-8278-c8dd898c75b9", 2)
    parsed = named_fault(name)
    assert parsed is not None
    assert parsed.execution_id == execution_id
    assert parsed.is_in(service)
    assert not parsed.is_in("another")
    assert record_of_session(f"{record_id(execution_id)}-{service}") == (record_id(execution_id), execution_id)


@pytest.mark.parametrize("name", ["blade-0123456789ab", "hf-", "hf-1-reviews", "xhf-1-reviews-00000000-1"])
def test_names_of_others_are_not_read_as_ours(name: str) -> None:
    """They are not the fault of any run."""
    assert named_fault(name) is None
    assert record_of_session("rec-20260101-000000-01234567") is None


def test_within_is_a_duration() -> None:
    """It is written as in plans."""
    (option,) = [parameter for parameter in every_command()["recover"].params if parameter.name == "within"]
    assert option.type.convert("90s", option, None) == timedelta(seconds=90)
