"""What others have left on in a plan's services, switched off before a run begins: only when the run is asked to.

All or nothing as far as that can be known: when anything is on that may not be touched, nothing is.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from activities.abandoned import quiet_from, settle
from activities.clearing import Cleared, Peers
from activities.clocks import Deadline, server_now
from activities.closing import Pace
from activities.left_over import is_elsewhere
from activities.toolbox import Subject, Toolbox
from clients.at_peers import On, OnKind
from clients.runs import RunDirectory
from clients.store.read_models import LogLevel
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.windows import RECORDINGS, Closing, LedgerEntry, WindowKind
from workflows.names import NamedFault, named_fault

BY = "clean"


class Cleaner:
    """Cleans up for one run, which holds the namespace."""

    def __init__(self, tools: Toolbox, runs: RunDirectory, subject: Subject) -> None:
        self._tools = tools
        self._runs = runs
        self._subject = subject
        plan = subject.plan
        self._peers = Peers(plan, tools.faults(plan), tools.proxy(plan), tools.canary)

    async def clean(self, end: Deadline, stability: timedelta) -> list[str]:
        """Switch off what is on in the plan's services, until `end`, and let these become stable; a line for each.

        Each is logged by name before it is touched and after it was seen to be off, and its row in the ledger settled.

        Raises:
            HoldfastError: ENVIRONMENT_NOT_CLEAN when something that is on may not be touched (then nothing was), or was
                not seen to go; SERVICE_NOT_STABLE.
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
        """Why something that is on is not to be closed from here; empty when it is."""
        for row in living:
            if await self._is_of(one, row):
                return f"{row.window_id} holds it"
        return await self._why_not_ours(one) if one.kind is OnKind.FAULT else ""

    async def _is_of(self, one: On, row: LedgerEntry) -> bool:
        """Whether a window holds it. Recordings have no names of ours: those of its services count as its own."""
        if row.kind not in RECORDINGS or one.kind is not OnKind.RECORDING:
            return bool(row.peer_name) and row.peer_name in (one.name, one.record_id)
        other = await self._tools.subject_for_closing(row.execution_id)
        return other.namespace == one.namespace and one.service in other.plan.service_names

    async def _why_not_ours(self, one: On) -> str:
        """A fault's name tells service and run; its namespace is known of runs in the store, else the peer is asked."""
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
        """Settle the rows of windows that are gone, as far as all that they stand for was seen to be off."""
        for row in dead:
            gone = [closing for one, closing in cleared if await self._is_of(one, row)]
            if gone and all(one.verified for one in gone) and await self._nothing_more(row):
                await settle(self._tools, row, Closing(verified=True), BY)

    async def _nothing_more(self, row: LedgerEntry) -> bool:
        """Whether nothing of a row can come on any more, nor is on beside this plan's services: else the sweeper's."""
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
        """What was taken out of a service rolls it out anew; the run must not take that for illness."""
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
    """One thing, in words."""
    whose = f" of execution {one.execution_id}" if one.execution_id else ""
    return f"{one.kind} {one.name or 'without a session'} in {one.service or 'an unknown service'}{whose}"
