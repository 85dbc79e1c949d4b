"""A fault driver that breaks nothing: the smallest thing that keeps the contract.

It shows what a further driver costs: this file, and a `DriverType`.
"""

from __future__ import annotations

import time
from datetime import timedelta
from types import TracebackType
from typing import ClassVar, Self

from clients.drivers.driver import DriverType
from clients.drivers.fault_driver import FaultDriver
from domain.faults.driving import FaultExists, FaultIntent, FaultStatus

ADDRESS = "stub://memory"


class StubFaults:
    _ends: ClassVar[dict[str, tuple[float, FaultIntent]]] = {}

    @property
    def address(self) -> str:
        return ADDRESS

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def inject(self, name: str, ttl: timedelta, intent: FaultIntent) -> None:
        if await self.status(name) is not None:
            raise FaultExists(name)
        self._ends[name] = time.monotonic() + ttl.total_seconds(), intent

    async def status(self, name: str) -> FaultStatus | None:
        end, _ = self._ends.get(name, (0.0, None))
        return FaultStatus(running=True, failed=False) if time.monotonic() < end else None

    async def delete(self, name: str) -> None:
        self._ends.pop(name, None)

    async def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self._ends if name.startswith(prefix))

    async def namespaces(self, name: str) -> set[str] | None:
        return {self._ends[name][1].namespace} if name in self._ends else None

    def by_hand(self, name: str) -> str:
        return f"forget {name}"


STUB: DriverType[FaultDriver] = DriverType(
    serves=lambda address: address == ADDRESS, at=lambda _address, _limit, _shown: StubFaults()
)
