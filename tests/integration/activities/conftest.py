"""The stage that activities run on."""

from __future__ import annotations

from tests.support.activities.fixtures import stage

__all__ = ["stage"]
