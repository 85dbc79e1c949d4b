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
from clients.peers.active import On, OnKind
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
        on = await self._on()
        rows = [row for row in await self._tools.store.ledger_unsettled() if row.kind is not WindowKind.LOCK]
        living = [row for row in rows if await self._runs.is_running(row.window_id, row.run_id)]
        await self._refuse_what_is_not_ours_to_close(on, living)
        for one in on:
            await self._log(one, "found", f"removing {told(one)}, left over")
        cleared = await self._clear(on, Pace(end, self._subject.execution.timing.poll))
        for one, closing in cleared:
            became = "seen to be off" if closing.verified else f"NOT seen to be off: {closing.detail}"
            await self._log(one, f"verified {closing.verified}", f"{told(one)}, left over: {became}")
        await self._settle(cleared, [row for row in rows if row not in living])
        self._refuse_what_stayed(cleared)
        await self._stable(on, stability)
        return [told(one) for one in on]

    async def _on(self) -> list[On]:
        services = self._subject.plan.service_names
        faults, sessions = await asyncio.gather(self._peers.faults_on(), self._peers.sessions_on(services))
        return [one for one in faults if not await is_elsewhere(self._tools, one.name, self._subject)] + sessions

    async def _clear(self, on: list[On], pace: Pace) -> Cleared:
        faults = [one for one in on if one.kind is OnKind.FAULT]
        sessions = [one for one in on if one.kind is not OnKind.FAULT]
        done = await asyncio.gather(self._peers.clear_faults(faults, pace), self._peers.clear_sessions(sessions, pace))
        return [one for part in done for one in part]

    async def _refuse_what_is_not_ours_to_close(self, on: list[On], living: list[LedgerEntry]) -> None:
        kept = [(one, await self._why_kept(one, living)) for one in on]
        told_why = [f"{told(one)}: {why}" for one, why in kept if why]
        if told_why:
            raise HoldfastError(
                ErrorCode.ENVIRONMENT_NOT_CLEAN,
                f"something is on in {self._subject.namespace} that a clean-up must not touch: {'; '.join(told_why)}",
                hint="nothing was touched; `holdfast faults` shows whose it is",
            )

    async def _why_kept(self, one: On, living: list[LedgerEntry]) -> str:
        """Return why this item must not be closed from here, or nothing."""
        for row in living:
            if await self._is_of(one, row):
                return f"{row.window_id} holds it"
        return await self._why_not_ours(one) if one.kind is OnKind.FAULT else ""

    async def _is_of(self, one: On, row: LedgerEntry) -> bool:
        """Return whether this row's window holds the item."""
        # The proxy chooses the names of recordings. So a window counts as holding every recording in its plan's
        # services.
        if row.kind not in RECORDINGS or one.kind is not OnKind.RECORDING:
            return bool(row.peer_name) and row.peer_name in (one.name, one.record_id)
        other = await self._tools.subject_for_closing(row.execution_id)
        return other.namespace == one.namespace and one.service in other.plan.service_names

    async def _why_not_ours(self, one: On) -> str:
        """Return why a fault is not this run's to close, or nothing.

        Its name contains service and run. The store has the namespace of runs it knows. For others the peer is asked.
        """
        of = named_fault(one.name)
        if of is None or not any(of.is_in(name) for name in self._subject.plan.system.services):
            return "it is in no service of this plan"
        aimed = await self._aimed_at(one, of)
        if aimed is None:
            return "in which namespace it is cannot be told"
        return "" if aimed <= {self._subject.namespace} else f"it is in namespace {', '.join(sorted(aimed))}"

    async def _aimed_at(self, one: On, of: NamedFault) -> set[str] | None:
        try:
            return {(await self._tools.store.execution(of.execution_id)).namespace}
        except HoldfastError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
        return await self._peers.faults.namespaces(one.name)

    async def _settle(self, cleared: Cleared, dead: list[LedgerEntry]) -> None:
        """Settle rows of dead windows if everything of theirs is verified off."""
        for row in dead:
            gone = [closing for one, closing in cleared if await self._is_of(one, row)]
            if gone and all(one.verified for one in gone) and await self._nothing_more(row):
                await settle(self._tools, row, Closing(verified=True), BY)

    async def _nothing_more(self, row: LedgerEntry) -> bool:
        """Return whether a row may be settled here.

        It may if no call of its window can switch anything on any more, and that window has nothing outside this plan's
        services.
        Otherwise it is left to the sweeper.
        """
        other = await self._tools.subject_for_closing(row.execution_id)
        if await quiet_from(self._runs, other, row) > server_now():
            return False
        alone = row.kind in (WindowKind.FAULT, WindowKind.PAIR_FAULT)
        return alone or set(other.plan.service_names) <= set(self._subject.plan.service_names)

    def _refuse_what_stayed(self, cleared: Cleared) -> None:
        stayed = [closing.detail for _, closing in cleared if not closing.verified]
        if stayed:
            went = "; ".join(told(one) for one, closing in cleared if closing.verified)
            raise HoldfastError(
                ErrorCode.ENVIRONMENT_NOT_CLEAN,
                f"something is still on in {self._subject.namespace} after the clean-up: "
                + "; ".join(dict.fromkeys(stayed))
                + (f". Removed: {went}" if went else ""),
                hint="nothing was switched on; switch it off by hand",
            )

    async def _stable(self, on: list[On], longest: timedelta) -> None:
        """Wait until the cleaned services are stable.

        Raises:
            HoldfastError: SERVICE_NOT_STABLE.
        """
        # Removing something from a service rolls it out again. The run must not mistake that for an unhealthy service.
        services = [name for name in self._subject.plan.service_names if any(_is_in(one, name) for one in on)]
        client = self._tools.stability(self._subject.plan)
        every = self._subject.execution.timing.stability_poll
        waits = (client.wait_until_stable(name, longest=longest, every=every) for name in services)
        unstable = [one for one in await asyncio.gather(*waits) if not one.stable]
        if unstable:
            names = ", ".join(f"{one.service} ({one.detail})" for one in unstable)
            raise HoldfastError(
                ErrorCode.SERVICE_NOT_STABLE,
                f"cleaned up, and not stable since: {names}",
                hint="nothing was switched on; look at the services",
            )

    async def _log(self, one: On, moment: str, message: str) -> None:
        key = f"{BY}:{one.kind}:{one.service}:{one.name}:{moment}"
        await self._tools.store.log(self._subject.execution.execution_id, key, LogLevel.WARN, f"{BY}: {message}")


def _is_in(one: On, service: str) -> bool:
    of = named_fault(one.name) if one.kind is OnKind.FAULT else None
    return of.is_in(service) if of else one.service == service


def told(one: On) -> str:
    """Describe one active item in words."""
    whose = f" of execution {one.execution_id}" if one.execution_id else ""
    return f"{one.kind} {one.name or 'without a session'} in {one.service or 'an unknown service'}{whose}"
