"""Fixtures for the tests of the command line."""

from __future__ import annotations

from tests.support.cli.fixtures import begin, client, environment, here, holdfast, plan, queue, server, stand_ins, store

__all__ = ["begin", "client", "environment", "here", "holdfast", "plan", "queue", "server", "stand_ins", "store"]
