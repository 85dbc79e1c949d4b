"""Simulates many runs on all cores, and counts their results."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from domain.measuring.comparison import Finding


@dataclass
class Counts:
    """Counted results of some runs."""

    runs: int = 0
    cases: int = 0
    """Cases of all runs. A run with defects has as many cases as one without, including the defects."""
    alarmed: int = 0
    """Runs without defects in which some case was found to be a regression."""
    like: dict[Finding, int] = field(default_factory=lambda: dict.fromkeys(Finding, 0))
    """Findings about cases without a defect."""
    slower: dict[Finding, int] = field(default_factory=lambda: dict.fromkeys(Finding, 0))
    """Findings about planted defects."""
    requests: int = 0
    """Requests of the cases, in runs with defects."""
    control: int = 0
    """Requests of the controls, in runs with defects."""

    def add(self, finding: Finding, *, defect: bool) -> None:
        """Count the finding about one case."""
        (self.slower if defect else self.like)[finding] += 1

    def ended(self) -> Counts:
        """Complete the counts of one run."""
        self.alarmed = int(self.like[Finding.REGRESSION] > 0)
        return self

    def take(self, counts: Counts) -> None:
        """Add the counts of another run, or of several."""
        self.runs += counts.runs
        self.cases += counts.cases
        self.alarmed += counts.alarmed
        self.requests += counts.requests
        self.control += counts.control
        for finding in Finding:
            self.like[finding] += counts.like[finding]
            self.slower[finding] += counts.slower[finding]

    def share(self, finding: Finding, *, defects: bool = True) -> float:
        """Return the share of the planted defects, or of the other cases, with this finding."""
        counted = self.slower if defects else self.like
        return counted[finding] / sum(counted.values())

    @property
    def false_alarms(self) -> float:
        """Share of the runs without defects that had at least one false alarm."""
        return self.alarmed / self.runs

    @property
    def per_case(self) -> float:
        """Requests per case, in runs with defects."""
        return self.requests / self.cases

    @property
    def with_control(self) -> float:
        """Requests per case, with its share of the group's control."""
        return (self.requests + self.control) / self.cases


def simulated(run: Callable[[int], Counts], runs: int, what: str) -> Counts:
    """Simulate `runs` runs, with the seeds from 0 on, so that the figures are the same each time.

    Progress goes to standard error.
    """
    counts = Counts()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, result in enumerate(pool.map(run, range(runs), chunksize=5), 1):
            counts.take(result)
            if number % 500 == 0 or number == runs:
                print(f"  {what}: {number} of {runs} runs", file=sys.stderr, flush=True)
    return counts
