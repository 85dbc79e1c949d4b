"""`holdfast faults`: what is active, or may be, according to the ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.main import cli
from clients.store.store import Store
from domain.executions.windows import LedgerEntry, LedgerState, LedgerUpdate, WindowKind
from tests.support.cli.stored import RUN_ID, invoke, stored_run


async def test_faults_lists_unsettled_windows(store: Store) -> None:
    """Window, service, the peer's name, start time; exit code 5. Settled windows are not listed."""
    empty = await invoke("faults")
    assert (empty.exit_code, empty.output) == (0, "nothing is on\nnext: `holdfast list` shows the runs\n")
    execution = (await stored_run(store)).execution_id
    entry = entry_of(execution)
    await store.ledger.intent(entry)
    found = await invoke("faults")
    assert found.exit_code == 5
    for word in ("fault", "intent", "reviews", "hf-x-reviews", "since 2026-11-20 21:41:36Z", entry.window_id):
        assert word in found.output
    (facts,) = json.loads((await invoke("faults", "--json")).output)["ledger"]
    assert facts["peer_name"] == "hf-x-reviews"
    assert facts["since"].startswith("2026-11-20T21:41:36")
    update = LedgerUpdate(window_id=entry.window_id, run_id=RUN_ID, state=LedgerState.CLOSED)
    await store.ledger.update(update)
    assert (await invoke("faults")).exit_code == 0


def test_faults_without_a_database_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It creates no empty database either: from the wrong folder, everything would seem well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATABASE_URL", raising=False)
    result = CliRunner().invoke(cli, ["faults"])
    assert result.exit_code == 3
    assert "there is no database .holdfast/holdfast.db" in result.output
    assert list(tmp_path.iterdir()) == []


def test_the_start_time_is_unknown_for_run_ids_without_a_time() -> None:
    """Older servers make them."""
    assert entry_of(1).model_copy(update={"run_id": "6c84fb90-12c4-11e1-840d-7b25c5ee775a"}).began is None
    assert entry_of(1).model_copy(update={"run_id": "nonsense"}).began is None


def entry_of(execution_id: int) -> LedgerEntry:
    return LedgerEntry(
        window_id=f"fault/{execution_id}/reviews",
        run_id=RUN_ID,
        execution_id=execution_id,
        parent_workflow_id="w",
        parent_run_id="r",
        kind=WindowKind.FAULT,
        service="reviews",
        peer_name="hf-x-reviews",
        close_by=datetime.now(UTC) + timedelta(minutes=5),
    )
