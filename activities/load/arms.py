"""One arm of a group while it is measured: a case, or the baseline beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clients.http.requests import PreparedRequest
from clients.load.histograms import Histogram
from clients.load.sending import LastAnswer
from clients.store.packing import packed
from clients.store.read_models import Arm, StoredSamples
from domain.cases.thresholds import Thresholds
from domain.measuring.load import Case
from domain.measuring.samples import Taken
from domain.traffic.exchange import RequestSample

if TYPE_CHECKING:
    # It imports numpy, which takes half a second that few plans need.
    from domain.measuring.statistics.sequential import Look


@dataclass
class ArmRun:
    """What is sent for an arm, and what it gave so far."""

    position: int
    """Among the arms of its group; decides when the requests of an open model begin."""
    request: PreparedRequest
    case: Case | None = None
    """None for the control."""
    meets: Thresholds | None = None
    """What the case must meet."""
    taken: Taken = field(default_factory=Taken)
    last: LastAnswer = field(default_factory=LastAnswer)
    busy_ns: int = 0
    """Time in which its blocks were sent, without those of others between them."""
    look: Look | None = None
    """What a sequential test says of it, after the last round."""
    hopeless: bool = False
    """Whether it misses its SLO whatever follows."""

    @property
    def needs_more(self) -> bool:
        """Whether further requests could tell anything."""
        return not self.hopeless and (self.look is None or self.look.decision is None)

    def add(self, block: list[RequestSample], took_ns: int) -> None:
        """Note one block."""
        self.taken.add(block)
        self.busy_ns += took_ns

    def stored(self, first_index: int) -> StoredSamples:
        """Its samples as they are stored; a control stands with the first case of its group."""
        latencies = (latency for block in self.taken.success_blocks for latency in block)
        return StoredSamples(
            case_index=first_index if self.case is None else self.case.index,
            arm=Arm.CONTROL if self.case is None else Arm.CASE,
            histogram=Histogram(latencies).encode(),
            raw=packed(self.taken.pairs()),
        )
