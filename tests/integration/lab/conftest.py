"""A fresh lab for each test, on free ports."""

from __future__ import annotations

from tests.support.lab.fixtures import driver, settings, shop

__all__ = ["driver", "settings", "shop"]
