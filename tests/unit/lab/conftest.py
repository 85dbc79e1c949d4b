"""The shop's topology, and short times for labs."""

from __future__ import annotations

from tests.support.lab.fixtures import settings, shop

__all__ = ["settings", "shop"]
