"""An undisturbed run, and the bytecode that its workers keep."""

from __future__ import annotations

from tests.support.leaks.fixtures import _bytecode, undisturbed

__all__ = ["_bytecode", "undisturbed"]
