"""The environment of a plan, which names its lock beside the namespace.

It is the canonical address of the fault service, or the name that the worker's settings give to that address. A plan
may repeat this name but cannot choose one, because two names for one system would be two locks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from domain.addresses import address_in, address_of
from domain.errors import Problem
from domain.plans.plan import Plan
from domain.plans.validation.wording import shown

ENVIRONMENTS = "HOLDFAST_ENVIRONMENTS"

Named = Mapping[str, str]
"""The worker's names of environments, by canonical address of a fault service. An address has at most one name."""


def environment_of(plan: Plan, named: Named) -> str:
    """Return the environment that a run locks, given the worker's names."""
    address = str(address_of(plan.system.faults))
    return named.get(address, address)


def environment_in(plan: Plan) -> str:
    """Return the environment as the plan shows it, without a worker's names."""
    return plan.system.environment or environment_of(plan, {})


def touched(plan: Plan, named: Named) -> set[str]:
    """Return every place that a run acts on, in canonical spelling.

    These are its environment, its proxy and its services.
    """
    addresses = [plan.system.proxy, *plan.system.services.values()]
    return {environment_of(plan, named), *(str(address_of(url)) for url in addresses)}


def environment_problems(plan: Plan, named: Named) -> Iterator[Problem]:
    """Refuse an environment that the worker does not know by that name.

    A plan may only give the worker's name for its fault service, or that service's own address.
    """
    given = plan.system.environment
    address = str(address_of(plan.system.faults))
    if given is None or given == named.get(address) or _is_address(given, address):
        return
    where = f"{ENVIRONMENTS}={given}={address} where the worker is started"
    if address in named:
        message = f"{shown(given)} is not the environment of the fault service at {address}: {shown(named[address])} is"
        hint = "write that name, or leave it out"
    else:
        message = f"the worker knows no environment {shown(given)} with the fault service at {address}"
        hint = f"leave it out, so that the run locks {address}; or, if this is intended, set {where}"
    yield Problem(path="system.environment", message=message, hint=hint)


def parse_environments(text: str) -> dict[str, str]:
    """Parse the names of environments, by canonical address.

    The text looks like `prod=faults.internal:8080,prod=10.0.0.7:8080`.

    Raises:
        ValueError: naming the entry that is wrong, or the address that has two names.
    """
    named: dict[str, str] = {}
    for word in text.replace(",", " ").split():
        name, equals, place = word.partition("=")
        # A colon would let a name look like another system's address.
        if not equals or not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or not name.isascii():
            raise ValueError(f"{shown(word)} is not name=host:port, with a name of letters, digits, - . and _")
        try:
            address = str(address_in(place))
        except ValueError as error:
            raise ValueError(f"{shown(word)}: {error}") from error
        if named.setdefault(address, name) != name:
            raise ValueError(f"{address} is in two environments, {named[address]} and {name}")
    return named


def _is_address(given: str, address: str) -> bool:
    """Return whether `given` is the fault service's address, in any spelling."""
    try:
        return str(address_in(given)) == address
    except ValueError:
        return False
