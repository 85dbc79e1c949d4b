"""A plan with the addresses that a lab really has."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from lab import LabAddresses


def with_lab_addresses(document: Any, addresses: LabAddresses) -> Any:
    """Return a copy of the plan's document with the lab's addresses.

    Proxy, fault service and the lab's services get its addresses. Of the request's URL, only the origin changes, to the
    same service. A service that the lab does not have keeps its address.
    """
    pointed = copy.deepcopy(document)
    system = pointed["system"]
    origins = {
        origin_of(url): addresses.services[name] for name, url in _services_in_lab(system["services"], addresses)
    }
    system["services"] |= {
        name: addresses.services[name] for name, _ in _services_in_lab(system["services"], addresses)
    }
    system |= {"proxy": addresses.proxy, "faults": addresses.faults}
    url = pointed["request"]["url"]
    origin = origin_of(url)
    if origin in origins:
        pointed["request"]["url"] = origins[origin] + url[len(origin) :]
    return pointed


def _services_in_lab(services: dict[str, str], addresses: LabAddresses) -> list[tuple[str, str]]:
    return [(name, url) for name, url in services.items() if name in addresses.services]


def origin_of(url: str) -> str:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
