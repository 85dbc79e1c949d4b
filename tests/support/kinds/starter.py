"""`holdfast` with one more kind of execution, for workers and commands that are processes."""

from __future__ import annotations

import worker
from cli.main import main
from domain.kinds import registered
from tests.support.kinds.countdown import KIND, CountdownWorkflow

if __name__ == "__main__":
    worker.WORKFLOWS.append(CountdownWorkflow)
    with registered(KIND):
        main()
