"""One arm of a group being measured: a case, or the control."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clients.load.histograms import Histogram
from clients.load.probe import PreparedProbe
from clients.load.sending import LastAnswer
from clients.store.packing import packed
from clients.store.read_models import Arm, StoredSamples
from domain.cases.thresholds import Thresholds
from domain.measuring.load import Case
from domain.measuring.samples import Taken
from domain.traffic.exchange import RequestSample

if TYPE_CHECKING:
    # Type checking only: this module imports numpy, which takes half a second, and few plans need it.
    from domain.measuring.statistics.sequential import Look


@dataclass
class ArmRun:
    """The probe of an arm, and its results so far."""

    position: int
    """Index among the arms of the group.

    Seeds the arrival times of an open model, and the resampling of the comparison.
    """
    probe: PreparedProbe
    case: Case | None = None
    """None for the control, which sends baseline requests."""
    meets: Thresholds | None = None
    """The limits that the case must meet."""
    taken: Taken = field(default_factory=Taken)
    last: LastAnswer = field(default_factory=LastAnswer)
    busy_ns: int = 0
    """Time spent on this arm's own blocks, without those of other arms."""
    look: Look | None = None
    """Result of the sequential test after the last round."""
    hopeless: bool = False
    """Whether the arm misses its SLO whatever the remaining requests return."""

    @property
    def needs_more(self) -> bool:
        """Whether further requests could still change the result."""
        return not self.hopeless and (self.look is None or self.look.decision is None)

    def add(self, block: list[RequestSample], took_ns: int) -> None:
        """Add the samples of one block."""
        self.taken.add(block)
        self.busy_ns += took_ns

    def stored(self, first_index: int) -> StoredSamples:
        """Return the samples in stored form.

        A control is stored with the first case of its group, which has the index `first_index`.
        """
        latencies = (latency for block in self.taken.success_blocks for latency in block)
        return StoredSamples(
            case_index=first_index if self.case is None else self.case.index,
            arm=Arm.CONTROL if self.case is None else Arm.CASE,
            histogram=Histogram(latencies).encode(),
            raw=packed(self.taken.pairs()),
        )
