"""Clean-up before a run: switches off what others left active.

It covers the plan's services, and only happens if the run's input requests it. It is all or nothing, as far as that can
be known: if anything active must not be touched, nothing is touched.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from activities.clocks import Deadline, server_now
from activities.recovery.active_at_peers import is_elsewhere
from activities.recovery.close_by_name import Cleared, Peers
from activities.recovery.closing import Pace
from activities.recovery.orphans import quiet_from, settle
from activities.toolbox import Subject, Toolbox
from clients.drivers.active import ActiveItem, ActiveKind
from clients.store.read_models import LogLevel
from clients.temporal.runs import RunDirectory
from domain.errors import ErrorCode, HoldfastError
from domain.executions.windows import RECORDINGS, Closing, LedgerEntry, WindowKind
from domain.names import NamedFault, named_fault

BY = "clean"


class Cleaner:
    """Cleans up for one run, which holds the lock of the namespace."""

    def __init__(self, tools: Toolbox, runs: RunDirectory, subject: Subject) -> None:
        self._tools = tools
        self._runs = runs
        self._subject = subject
        plan = subject.plan
        self._peers = Peers(plan, tools.faults(plan), tools.proxy(plan), tools.canary)

    async def clean(self, end: Deadline, stability: timedelta) -> list[str]:
        """Switch off what is active in the plan's services, until `end`.

        Then wait until these services are stable. Each item is logged by name before it is touched and after it was
        verified to be off. Its ledger row is settled.

        Returns:
            One line for each item.

        Raises:
            HoldfastError: ENVIRONMENT_NOT_CLEAN when something active must not be touched (then nothing was touched),
                or was not verified to be off. SERVICE_NOT_STABLE.
        """
        on = await self._list_active()
        rows = [row for row in await self._tools.store.ledger.unsettled() if row.kind is not WindowKind.LOCK]
        living = [row for row in rows if await self._runs.is_running(row.window_id, row.run_id)]
        await self._refuse_foreign(on, living)
        for item in on:
            await self._log(item, "found", f"removing leftover {told(item)}")
        cleared = await self._clear(on, Pace(end, self._subject.execution.timing.poll))
        for item, closing in cleared:
            outcome = "seen to be off" if closing.verified else f"NOT seen to be off: {closing.detail}"
            await self._log(item, f"verified {closing.verified}", f"leftover {told(item)}: {outcome}")
        await self._settle(cleared, [row for row in rows if row not in living])
        self._refuse_remaining(cleared)
        await self._await_stable(on, stability)
        return [told(item) for item in on]

    async def _list_active(self) -> list[ActiveItem]:
        services = self._subject.plan.service_names
        faults, sessions = await asyncio.gather(self._peers.active_faults(), self._peers.sessions_on(services))
        return [fault for fault in faults if not await is_elsewhere(self._tools, fault.name, self._subject)] + sessions

    async def _clear(self, on: list[ActiveItem], pace: Pace) -> Cleared:
        faults = [item for item in on if item.kind is ActiveKind.FAULT]
        sessions = [item for item in on if item.kind is not ActiveKind.FAULT]
        done = await asyncio.gather(self._peers.clear_faults(faults, pace), self._peers.clear_sessions(sessions, pace))
        return [pair for part in done for pair in part]

    async def _refuse_foreign(self, on: list[ActiveItem], living: list[LedgerEntry]) -> None:
        kept = [(item, await self._why_kept(item, living)) for item in on]
        reasons = [f"{told(item)}: {why}" for item, why in kept if why]
        if reasons:
            raise HoldfastError(
                ErrorCode.ENVIRONMENT_NOT_CLEAN,
                f"something is on in {self._subject.namespace} that a clean-up must not touch: {'; '.join(reasons)}",
                hint="nothing was touched; `holdfast faults` shows the owner",
            )

    async def _why_kept(self, item: ActiveItem, living: list[LedgerEntry]) -> str:
        """Return why this item must not be closed from here, or nothing."""
        for row in living:
            if await self._is_held_by(item, row):
                return f"{row.window_id} holds it"
        return await self._why_not_ours(item) if item.kind is ActiveKind.FAULT else ""

    async def _is_held_by(self, item: ActiveItem, row: LedgerEntry) -> bool:
        """Return whether this row's window holds the item."""
        # The proxy chooses the names of recordings. So a window counts as holding every recording in its plan's
        # services.
        if row.kind not in RECORDINGS or item.kind is not ActiveKind.RECORDING:
            return bool(row.peer_name) and row.peer_name in (item.name, item.record_id)
        owner = await self._tools.subject_for_closing(row.execution_id)
        return owner.namespace == item.namespace and item.service in owner.plan.service_names

    async def _why_not_ours(self, item: ActiveItem) -> str:
        """Return why a fault is not this run's to close, or nothing.

        Its name contains service and run. The store has the namespace of runs it knows. For others the peer is asked.
        """
        named = named_fault(item.name)
        if named is None or not any(named.is_in(name) for name in self._subject.plan.system.services):
            return "it is not in a service of this plan"
        namespaces = await self._namespaces_of(item, named)
        if namespaces is None:
            return "its namespace is not known"
        return "" if namespaces <= {self._subject.namespace} else f"it is in namespace {', '.join(sorted(namespaces))}"

    async def _namespaces_of(self, item: ActiveItem, named: NamedFault) -> set[str] | None:
        try:
            return {(await self._tools.store.executions.get(named.execution_id)).namespace}
        except HoldfastError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
        return await self._peers.faults.namespaces(item.name)

    async def _settle(self, cleared: Cleared, dead: list[LedgerEntry]) -> None:
        """Settle rows of dead windows if everything of theirs is verified off."""
        for row in dead:
            closed = [closing for item, closing in cleared if await self._is_held_by(item, row)]
            if closed and all(result.verified for result in closed) and await self._may_settle(row):
                await settle(self._tools, row, Closing(verified=True), BY)

    async def _may_settle(self, row: LedgerEntry) -> bool:
        """Return whether a row may be settled here.

        It may if no call of its window can switch anything on any more, and that window has nothing outside this plan's
        services.
        Otherwise it is left to the sweeper.
        """
        owner = await self._tools.subject_for_closing(row.execution_id)
        if await quiet_from(self._runs, owner, row) > server_now():
            return False
        single_service = row.kind in (WindowKind.FAULT, WindowKind.PAIR_FAULT)
        return single_service or set(owner.plan.service_names) <= set(self._subject.plan.service_names)

    def _refuse_remaining(self, cleared: Cleared) -> None:
        remaining = [closing.detail for _, closing in cleared if not closing.verified]
        if remaining:
            removed = "; ".join(told(item) for item, closing in cleared if closing.verified)
            raise HoldfastError(
                ErrorCode.ENVIRONMENT_NOT_CLEAN,
                f"something is still on in {self._subject.namespace} after the clean-up: "
                + "; ".join(dict.fromkeys(remaining))
                + (f". Removed: {removed}" if removed else ""),
                hint="nothing was switched on; switch it off by hand",
            )

    async def _await_stable(self, on: list[ActiveItem], longest: timedelta) -> None:
        """Wait until the cleaned services are stable.

        Raises:
            HoldfastError: SERVICE_NOT_STABLE.
        """
        # Removing something from a service rolls it out again. The run must not mistake that for an unhealthy service.
        services = [name for name in self._subject.plan.service_names if any(_is_in(item, name) for item in on)]
        client = self._tools.stability(self._subject.plan)
        every = self._subject.execution.timing.stability_poll
        waits = (client.wait_until_stable(name, longest=longest, every=every) for name in services)
        unstable = [result for result in await asyncio.gather(*waits) if not result.stable]
        if unstable:
            names = ", ".join(f"{result.service} ({result.detail})" for result in unstable)
            raise HoldfastError(
                ErrorCode.SERVICE_NOT_STABLE,
                f"not stable since the clean-up: {names}",
                hint="nothing was switched on; look at the services",
            )

    async def _log(self, item: ActiveItem, moment: str, message: str) -> None:
        key = f"{BY}:{item.kind}:{item.service}:{item.name}:{moment}"
        await self._tools.store.logs.add(self._subject.execution.execution_id, key, LogLevel.WARN, f"{BY}: {message}")


def _is_in(item: ActiveItem, service: str) -> bool:
    named = named_fault(item.name) if item.kind is ActiveKind.FAULT else None
    return named.is_in(service) if named else item.service == service


def told(item: ActiveItem) -> str:
    """Describe one active item in words."""
    owner = f" of execution {item.execution_id}" if item.execution_id else ""
    return f"{item.kind} {item.name or 'without a session'} in {item.service or 'an unknown service'}{owner}"
