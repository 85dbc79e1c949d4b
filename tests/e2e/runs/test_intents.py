"""Everything about to be switched on is in the ledger before any peer is asked, under the name it will have there."""

from __future__ import annotations

from typing import Any

import pytest

from clients.peers.faults import FaultClient
from clients.peers.proxy import ProxyClient
from domain.executions.windows import LedgerState, WindowKind
from tests.support.runs.bench import Bench

OPENING: list[tuple[type[Any], str, WindowKind]] = [
    (ProxyClient, "analyze", WindowKind.RECORDING),
    (FaultClient, "execute", WindowKind.FAULT),
    (ProxyClient, "upsert_rules", WindowKind.RULES),
]


async def test_the_ledger_has_an_intent_before_any_peer_is_asked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise nobody could find what a worker had switched on if it died before recording it."""
    found: list[tuple[WindowKind, LedgerState, str]] = []
    asked: list[tuple[WindowKind, str]] = []

    def noted(owner: type[Any], call: str, kind: WindowKind) -> None:
        real = getattr(owner, call)

        async def look_first(client: Any, *arguments: Any, **more: Any) -> Any:
            asked.append((kind, str(arguments[0] if arguments else more.get("record_id", ""))))
            rows = [row for row in await bench.store.ledger.unsettled() if row.kind is kind]
            found.extend((row.kind, row.state, row.peer_name) for row in rows)
            return await real(client, *arguments, **more)

        monkeypatch.setattr(owner, call, look_first)

    for opening in OPENING:
        noted(*opening)
    summary = await bench.run(bench.small_plan())
    assert summary.cases.measured == 4
    assert [kind for kind, _ in asked] == ["recording", "fault", "fault", "rules"]
    assert len({name for kind, name in asked if kind is WindowKind.FAULT}) == 2
    assert found == [(kind, LedgerState.INTENT, name) for kind, name in asked]
