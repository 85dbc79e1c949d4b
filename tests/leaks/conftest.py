"""The server of the end-to-end tests, and an undisturbed run."""

from __future__ import annotations

from tests.support.leaks.fixtures import _bytecode, temporal, undisturbed

__all__ = ["_bytecode", "temporal", "undisturbed"]
