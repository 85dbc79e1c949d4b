"""A peer and a cluster whose answers the test chooses."""

from __future__ import annotations

from tests.support.clients.fixtures import api, cluster, peer

__all__ = ["api", "cluster", "peer"]
