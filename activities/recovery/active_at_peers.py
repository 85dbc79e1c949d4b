"""What is on in a plan's namespace, by the peers' own word."""

from __future__ import annotations

import asyncio

from activities.toolbox import Subject, Toolbox
from domain.errors import ErrorCode, HoldfastError
from domain.names import FAULT_PREFIX


async def left_over(tools: Toolbox, subject: Subject, fault_prefix: str) -> list[str]:
    """Sidecars of the plan's services, of whomever, and faults whose names begin so; a line each.

    Raises:
        HoldfastError: a peer could not be asked.
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
        # The list may show ghosts (`peer-contract` section 2.5); only the status is authoritative.
        if await faults.status(name) is not None and not await is_elsewhere(tools, name, subject):
            left.append(f"fault {name}")
    return left


async def refuse_left_over(tools: Toolbox, subject: Subject) -> None:
    """Look once more, right before the first thing is switched on, for what has come on since pre-flight.

    Raises:
        HoldfastError: ENVIRONMENT_NOT_CLEAN, naming what is on; a PEER_ code when a peer could not be asked.
    """
    left = await left_over(tools, subject, FAULT_PREFIX)
    if left:
        raise HoldfastError(
            ErrorCode.ENVIRONMENT_NOT_CLEAN,
            f"something has come on in {subject.namespace} since the run began: {'; '.join(left)}",
            hint="does another installation of Holdfast test this system? Nothing was switched on",
        )


async def is_elsewhere(tools: Toolbox, fault_name: str, subject: Subject) -> bool:
    """Whether a fault belongs to a run on another namespace of the same fault service; when in doubt, no."""
    try:
        execution_id = int(fault_name.removeprefix(FAULT_PREFIX).split("-", 1)[0], 36)
        other = await tools.store.execution(execution_id)
    except (ValueError, HoldfastError):
        return False
    return other.namespace != subject.namespace
