"""`holdfast` with one more kind of execution, for workers and commands that are processes."""

from __future__ import annotations

import sys
from pathlib import Path

# Commands run in a folder of their own, and what is installed does not include the tests.
sys.path.insert(0, str(Path(__file__).parents[3]))

from cli.main import main
from domain.kinds import registered
from tests.support.kinds.countdown import KIND

if __name__ == "__main__":
    if "worker" in sys.argv:
        # Only then: the worker's imports take longer than most commands.
        import worker
        from tests.support.kinds.countdown_workflow import CountdownWorkflow

        worker.WORKFLOWS.append(CountdownWorkflow)
    with registered(KIND):
        main()
