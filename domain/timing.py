"""Intervals of the machinery itself: polling, heartbeats, retries. A plan's timeouts are the user's, these are ours."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from domain.base import Contract
from domain.executions.starting import Interval, Pause


class TimingPreset(StrEnum):
    """Which set of intervals a worker uses (`HOLDFAST_TIMING`)."""

    PRODUCTION = "production"
    FAST = "fast"


class Timing(Contract):
    """All intervals that decide how fast trouble is noticed.

    Read once by the first activity of a run, then passed on: a run keeps its timing whatever worker continues it.
    """

    preset: TimingPreset = TimingPreset.PRODUCTION
    poll: Interval = timedelta(seconds=1)
    """Between two looks at a peer; the originals poll every 0.5 to 2 s."""
    stability_poll: Interval = timedelta(seconds=2)
    """Between two readiness samples of a service."""
    heartbeat_timeout: Interval = timedelta(seconds=15)
    """An activity that is silent this long is given to another worker."""
    retry_initial: Interval = timedelta(seconds=1)
    """First back-off; then doubled: 1, 2, 4 s."""
    call_timeout: Interval = timedelta(seconds=30)
    """One quick call to a peer or the store, all its waiting included."""
    upsert_base: Interval = timedelta(seconds=60)
    upsert_per_service: Interval = timedelta(seconds=40)
    """An upsert works through its services one after the other, up to 35 s each (`peer-contract` section 3.3)."""
    rollout: Interval = timedelta(seconds=330)
    """The longest rollout of one service. An analysis that begins may be silent for so long before its next recording
    is seen (`peer-contract` section 3.1)."""
    analyze_dedupe: Pause = timedelta(seconds=60)
    """How long the proxy answers an equal analyze call with an earlier one's task (`peer-contract` section 3.1)."""
    settle: Pause = timedelta(seconds=40)
    """How long something must stay absent when it is not known whether the peer is still switching it on: an upsert
    works up to 35 s on one service, the next one included (`peer-contract` section 3.3). Longer than anything a slow
    peer of the tests does."""
    close_grace: Interval = timedelta(minutes=5)
    """Added to a window's own time before it is overdue, and before the sweeper steps in."""
    sweep_every: Interval = timedelta(minutes=1)
    """Interval of the sweeper's schedule."""

    def upsert(self, services: int) -> timedelta:
        """The longest that one upsert for so many services may take."""
        return self.upsert_base + self.upsert_per_service * services

    @classmethod
    def of(cls, preset: TimingPreset) -> Timing:
        """The intervals of a preset."""
        if preset is TimingPreset.PRODUCTION:
            return cls()
        return cls(
            preset=TimingPreset.FAST,
            poll=timedelta(milliseconds=100),
            stability_poll=timedelta(milliseconds=50),
            heartbeat_timeout=timedelta(seconds=3),
            retry_initial=timedelta(milliseconds=100),
            call_timeout=timedelta(seconds=10),
            rollout=timedelta(seconds=2),
            upsert_base=timedelta(seconds=20),
            upsert_per_service=timedelta(seconds=2),
            analyze_dedupe=timedelta(seconds=10),
            settle=timedelta(seconds=7),
            close_grace=timedelta(seconds=20),
            sweep_every=timedelta(seconds=5),
        )
