"""The shop's topology."""

from __future__ import annotations

from tests.support.lab.fixtures import shop

__all__ = ["shop"]
