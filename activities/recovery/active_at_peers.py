"""What the peers report as active in a plan's namespace."""

from __future__ import annotations

import asyncio

from activities.toolbox import Subject, Toolbox
from domain.errors import ErrorCode, HoldfastError
from domain.names import FAULT_PREFIX


async def left_active(tools: Toolbox, subject: Subject, fault_prefix: str) -> list[str]:
    """List sidecars in the plan's services, and faults with this prefix.

    One line each. Sidecars of every owner are listed. Faults of runs on other namespaces are not.

    Raises:
        HoldfastError: when a peer cannot be asked.
    """
    proxy, faults = tools.proxy(subject.plan), tools.faults(subject.plan)
    services = subject.plan.service_names
    checks = await asyncio.gather(*(proxy.check(namespace=subject.namespace, service=name) for name in services))
    left = [
        f"{service} has a sidecar of session {check.recording_id}"
        for service, check in zip(services, checks, strict=True)
        if check.recording
    ]
    for name in await faults.names(fault_prefix):
        # The list may show faults that are gone (`peer-contract` section 2.5). Only the status is authoritative.
        if await faults.status(name) is not None and not await is_elsewhere(tools, name, subject):
            left.append(f"fault {name}")
    return left


async def refuse_left_over(tools: Toolbox, subject: Subject) -> None:
    """Refuse to go on if anything has come on since pre-flight.

    Called right before the run switches on its first thing.

    Raises:
        HoldfastError: ENVIRONMENT_NOT_CLEAN, naming what is active. A PEER_ code when a peer cannot be asked.
    """
    left = await left_active(tools, subject, FAULT_PREFIX)
    if left:
        raise HoldfastError(
            ErrorCode.ENVIRONMENT_NOT_CLEAN,
            f"something was switched on in {subject.namespace} since the run began: {'; '.join(left)}",
            hint="does another installation of Holdfast test this system? Nothing was switched on",
        )


async def is_elsewhere(tools: Toolbox, fault_name: str, subject: Subject) -> bool:
    """Return whether a fault belongs to a run on another namespace.

    Several namespaces may share one fault service. When in doubt, the answer is no.
    """
    try:
        execution_id = int(fault_name.removeprefix(FAULT_PREFIX).split("-", 1)[0], 36)
        owner = await tools.store.executions.get(execution_id)
    except (ValueError, HoldfastError):
        return False
    return owner.namespace != subject.namespace
