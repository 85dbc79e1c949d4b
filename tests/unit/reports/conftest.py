"""A store for reports, and the two runs that most tests use."""

from __future__ import annotations

from tests.support.reports.fixtures import aborted, finished, store

__all__ = ["aborted", "finished", "store"]
