"""Fixtures of the command line's tests."""

from __future__ import annotations

from tests.support.cli.fixtures import store

__all__ = ["store"]
