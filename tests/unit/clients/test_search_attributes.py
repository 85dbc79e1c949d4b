"""Which search attributes runs may set: those that the server has, and no others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from clients.temporal.connection import ensure_search_attributes
from domain.names import SearchAttribute

EVERY = frozenset(SearchAttribute)
OLD = EVERY - {SearchAttribute.TEAM}


class Server:
    """A server that has these, gets these from others meanwhile, and answers a registration with this status."""

    def __init__(self, has: frozenset[str], status: RPCStatusCode, meanwhile: frozenset[str] = frozenset()) -> None:
        self.has, self.status, self.meanwhile = has, status, meanwhile

    @property
    def client(self) -> Client:
        return cast("Client", SimpleNamespace(namespace="default", operator_service=self))

    async def list_search_attributes(self, _: Any) -> Any:
        return SimpleNamespace(custom_attributes=dict.fromkeys(self.has))

    async def add_search_attributes(self, _: Any) -> None:
        self.has |= self.meanwhile
        raise RPCError("", self.status, b"")


async def test_one_that_may_not_be_registered_costs_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    server = Server(OLD, RPCStatusCode.PERMISSION_DENIED)
    assert await ensure_search_attributes(server.client) == OLD
    assert "--name HoldfastTeam --type Keyword" in caplog.text
    assert "--name HoldfastPlan" not in caplog.text


async def test_a_server_that_lists_none_has_none() -> None:
    assert await ensure_search_attributes(Server(frozenset(), RPCStatusCode.PERMISSION_DENIED).client) == frozenset()


@pytest.mark.parametrize("meanwhile", [EVERY, OLD], ids=["all", "some"])
async def test_what_another_worker_registers_at_the_same_time_is_looked_at_again(meanwhile: frozenset[str]) -> None:
    """It may be of an earlier version, which does not know all of them."""
    server = Server(frozenset(), RPCStatusCode.ALREADY_EXISTS, meanwhile)
    assert await ensure_search_attributes(server.client) == meanwhile
