"""The stage on which activities run."""

from __future__ import annotations

from tests.support.activities.fixtures import stage

__all__ = ["stage"]
