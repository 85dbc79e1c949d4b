"""Measures how long the sandbox takes to prepare each workflow. Every start and every replay costs this time.

    .venv/bin/python benchmarks/workflow_prepare.py

It prints the time per workflow in milliseconds (median of 20, after one warm-up). Beside it, it prints the time of the
same workflow without the pass-through list, measured in the same run, and the ratio. Aim: under 20 ms each.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from temporalio.worker import WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import _Definition

from operations.processes.worker_process import private_bytecode_cache
from worker import WORKFLOWS, sandbox

ROUNDS = 20


def prepare(runner: WorkflowRunner, workflow: type) -> float:
    """Return the milliseconds that one preparation takes."""
    definition = _Definition.must_from_class(workflow)
    started = time.perf_counter()
    runner.prepare_workflow(definition)
    return (time.perf_counter() - started) * 1000


async def main() -> None:
    """Measure every workflow, in our sandbox and in the default one."""
    ours, default = sandbox(), SandboxedWorkflowRunner()
    print(f"{'workflow':<20} {'ours':>10} {'default':>10} {'ratio':>7}")
    for workflow in WORKFLOWS:
        prepare(ours, workflow)
        our_times, default_times = [], []
        for number in range(ROUNDS):
            our_times.append(prepare(ours, workflow))
            if number % 5 == 0:
                default_times.append(_or_nan(default, workflow))
        our_median, default_median = statistics.median(our_times), statistics.median(default_times)
        print(
            f"{workflow.__name__:<20} {our_median:>7.1f} ms {default_median:>7.1f} ms "
            f"{default_median / our_median:>6.0f}x"
        )


def _or_nan(runner: WorkflowRunner, workflow: type) -> float:
    """Prepare a workflow. Return NaN if the default sandbox refuses to load it."""
    try:
        return prepare(runner, workflow)
    except RuntimeError:
        return float("nan")


if __name__ == "__main__":
    with private_bytecode_cache():
        asyncio.run(main())
