"""A board to move."""

from __future__ import annotations

from tests.support.boards import board

__all__ = ["board"]
