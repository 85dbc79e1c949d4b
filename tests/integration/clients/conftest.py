"""A peer and a cluster that answer as a test says."""

from __future__ import annotations

from tests.support.clients.fixtures import api, cluster, peer

__all__ = ["api", "cluster", "peer"]
