"""Closing sessions by their names at a made-up proxy: how each is ended, and what counts as gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from activities.clocks import Deadline
from activities.recovery.close_by_name import Peers
from activities.recovery.closing import Pace
from clients.drivers.active import ActiveItem, ActiveKind
from domain.plans.plan import Plan
from domain.traffic.driving import ActiveSession, SidecarCheck
from tests.support.plans.builders import good

NAMESPACE = Plan.model_validate(good()).system.namespace
SOON = timedelta(milliseconds=200)


class Proxy:
    """A proxy that keeps sessions by name.

    The real proxy takes a name that does not exist for the prefix of other names.
    """

    def __init__(self, sessions: dict[str, str], *, stubborn: bool = False) -> None:
        """Take the services by session id."""
        self.sessions = dict(sessions)
        self.calls: list[str] = []
        self._stubborn = stubborn

    async def active_sessions(self) -> list[ActiveSession]:
        return [
            ActiveSession(session_id=name, namespace=NAMESPACE, service=service)
            for name, service in self.sessions.items()
        ]

    async def check(self, *, namespace: str, service: str) -> SidecarCheck:
        assert namespace == NAMESPACE
        return SidecarCheck(recording=service in self.sessions.values(), recording_id=None)

    async def delete_rules(self, record_id: str) -> None:
        self._end(f"delete {record_id}", record_id)

    async def stop_recording(self, recording_id: str, _: timedelta) -> None:
        self._end(f"stop {recording_id}", recording_id)

    def _end(self, call: str, name: str) -> None:
        self.calls.append(call)
        if not self._stubborn:
            self.sessions.pop(name, None)


async def clear(proxy: Proxy, *services: str) -> dict[str, bool]:
    """Close the sessions of these services. Returns whether each is verified."""
    plan = Plan.model_validate(good())
    peers = Peers(plan, cast("Any", None), cast("Any", proxy), cast("Any", None))
    on = [
        ActiveItem(kind=ActiveKind.RECORDING, address="a", name=name, service=service, namespace=NAMESPACE)
        for name, service in proxy.sessions.items()
        if service in services
    ]
    pace = Pace(Deadline.after(SOON), timedelta(milliseconds=1))
    return {item.name: closing.verified for item, closing in await peers.clear_sessions(on, pace)}


async def test_recordings_are_stopped_and_rules_are_deleted() -> None:
    """A rule that is only stopped keeps its timer, which would then hit the next run's rule."""
    proxy = Proxy({"rec-1": "cart", "fi-1-payment": "payment", "rec-2": "elsewhere"})
    assert await clear(proxy, "cart", "payment") == {"rec-1": True, "fi-1-payment": True}
    assert sorted(proxy.calls) == ["delete fi-1-payment", "stop rec-1"]
    assert list(proxy.sessions) == ["rec-2"]


async def test_a_name_that_is_a_prefix_of_another_session_is_stopped_not_deleted() -> None:
    """If the session were already gone, the proxy would delete the other one instead."""
    proxy = Proxy({"fi-1-cart": "cart", "fi-1-cart-service": "cart-service"})
    assert await clear(proxy, "cart") == {"fi-1-cart": True}
    assert proxy.calls == ["stop fi-1-cart"]


async def test_two_sessions_in_one_service_are_both_ended() -> None:
    """Neither waits until the other is gone."""
    proxy = Proxy({"rec-1": "cart", "fi-1-cart": "cart"})
    assert await clear(proxy, "cart") == {"rec-1": True, "fi-1-cart": True}


@pytest.mark.parametrize("name", ["rec-1", "fi-1-cart"])
async def test_a_session_that_stays_is_reported_as_not_verified(name: str) -> None:
    """The proxy's answer to the call does not count."""
    proxy = Proxy({name: "cart"}, stubborn=True)
    assert await clear(proxy, "cart") == {name: False}
