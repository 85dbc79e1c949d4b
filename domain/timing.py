"""Intervals of Holdfast itself: polling, heartbeats, retries.

The timeouts in a plan are the user's, these are ours.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from domain.base import Contract
from domain.executions.starting import Interval, Pause


class TimingPreset(StrEnum):
    """Set of intervals that a worker uses (`HOLDFAST_TIMING`)."""

    PRODUCTION = "production"
    FAST = "fast"


class Timing(Contract):
    """All intervals that decide how quickly trouble is noticed.

    The first activity of a run reads them once, and they are passed on from there: a run keeps its timing, whichever
    worker continues it.
    """

    preset: TimingPreset = TimingPreset.PRODUCTION
    poll: Interval = timedelta(seconds=1)
    """Time between two polls of a peer. The originals poll every 0.5 to 2 s."""
    stability_poll: Interval = timedelta(seconds=2)
    """Time between two readiness samples of a service."""
    heartbeat_timeout: Interval = timedelta(seconds=15)
    """Silence after which an activity is given to another worker."""
    retry_initial: Interval = timedelta(seconds=1)
    """First retry back-off, doubled each time: 1, 2, 4 s."""
    store_retry: Interval = timedelta(seconds=10)
    """Pause before an activity asks a store again that was away. Four attempts outlast the restart of a database
    (`docs/postgres.md`)."""
    call_timeout: Interval = timedelta(seconds=30)
    """Timeout of a quick call to a peer or the store. Includes all waiting."""
    upsert_base: Interval = timedelta(seconds=60)
    upsert_per_service: Interval = timedelta(seconds=40)
    """Time of an upsert per service. Services come one after another, up to 35 s each (`peer-contract` section 3.3)."""
    rollout: Interval = timedelta(seconds=330)
    """Longest rollout of one service. An analysis that is starting may be silent this long before its next recording
    appears (`peer-contract` section 3.1)."""
    analyze_dedupe: Pause = timedelta(seconds=60)
    """Time for which the proxy deduplicates equal analyze calls. It answers them with the task of the earlier call
    (`peer-contract` section 3.1)."""
    settle: Pause = timedelta(seconds=40)
    """Required absence of something that the peer may still be switching on. An upsert takes up to 35 s for a service,
    which includes the next service in line (`peer-contract` section 3.3). Longer than anything that a slow peer in the
    tests does."""
    close_grace: Interval = timedelta(minutes=5)
    """Grace period after a window's own time. After it, the window is overdue and the sweeper steps in."""
    sweep_every: Interval = timedelta(minutes=1)
    """Interval of the sweeper's schedule."""

    def upsert(self, services: int) -> timedelta:
        """Return the longest time that one upsert of these services may take."""
        return self.upsert_base + self.upsert_per_service * services

    @classmethod
    def of(cls, preset: TimingPreset) -> Timing:
        """Return the intervals of a preset."""
        if preset is TimingPreset.PRODUCTION:
            return cls()
        return cls(
            preset=TimingPreset.FAST,
            poll=timedelta(milliseconds=100),
            stability_poll=timedelta(milliseconds=50),
            heartbeat_timeout=timedelta(seconds=3),
            retry_initial=timedelta(milliseconds=100),
            store_retry=timedelta(seconds=5),
            call_timeout=timedelta(seconds=10),
            rollout=timedelta(seconds=2),
            upsert_base=timedelta(seconds=20),
            upsert_per_service=timedelta(seconds=2),
            analyze_dedupe=timedelta(seconds=10),
            settle=timedelta(seconds=7),
            close_grace=timedelta(seconds=20),
            sweep_every=timedelta(seconds=5),
        )
