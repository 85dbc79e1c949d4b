"""The lab's waiting times, and how it picks its ports."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class PortChoice(StrEnum):
    """Where the lab's sockets come from."""

    PREFERRED = "preferred"
    """The topology's port, or a free port if that one is taken or not defined."""
    FREE = "free"
    """Always a free port, so that any number of labs can run side by side."""


class LabSettings(BaseModel):
    """Every waiting time of the lab, in seconds.

    The real peers take minutes for some of these.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rollout: float = Field(default=0.15, ge=0)
    """How long a service's /health answers 503 after its pods have changed."""
    dedupe_seconds: float = Field(default=3, ge=0)
    """How long equal analyze calls get the task of the first one (peer: 60)."""
    initializing: float = Field(default=0.02, ge=0)
    """How long an analysis stays in each of its short states."""
    collect: float = Field(default=15, ge=0)
    """How long an analysis waits for traffic at most."""
    collect_quiet: float = Field(default=0.6, ge=0)
    """Silence that ends the collection early, once something was recorded."""
    collect_every: float = Field(default=0.1, ge=0)
    """Interval of background collections. A recording shows what it saw only after the next one (peer: 30, and none in
    the first 20)."""
    replay_timeout: float = Field(default=2, gt=0)
    """Read timeout of a replayed request."""
    execute_wait: float = Field(default=0.05, ge=0)
    """How long `execute` sleeps between creating a fault and reading it back (peer: 1)."""
    fault_start: float = Field(default=0.15, ge=0)
    """From a fault's creation to its phase Running or Error."""
    fault_stop: float = Field(default=0.15, ge=0)
    """From a fault's deletion until it is gone."""
    restart_time: float = Field(default=0.4, ge=0)
    """Until a deleted pod or killed process is back, although its fault stays Running."""
    hang_limit: float = Field(default=30, gt=0)
    """Longest time that a request with lost packets, or a hanging answer, stays open. Then the connection is cut."""
    upstream_timeout: float = Field(default=30, gt=0)
    """Time for the whole answer of a real service behind the lab. After that, its caller gets a 504."""
    health_timeout: float = Field(default=2, gt=0)
    """Time for a real service to answer a health check."""
