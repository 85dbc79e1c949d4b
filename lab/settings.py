"""How long the lab takes for things, and how it picks its ports."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class PortChoice(StrEnum):
    """Where the lab's sockets come from."""

    PREFERRED = "preferred"
    """The topology's port; a free one where that port is taken or not given."""
    FREE = "free"
    """Always a free port, so that any number of labs can run side by side."""


class LabSettings(BaseModel):
    """Every waiting time of the lab, in seconds. The real peers take minutes for some of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rollout: float = Field(default=0.15, ge=0)
    """Changing a service's pods: /health answers 503 for so long."""
    dedupe_seconds: float = Field(default=3, ge=0)
    """Equal analyze calls get the first call's task for so long (peer: 60)."""
    initializing: float = Field(default=0.02, ge=0)
    """An analysis rests so long in each of its short states."""
    collect: float = Field(default=15, ge=0)
    """An analysis waits at most so long for traffic."""
    collect_quiet: float = Field(default=0.6, ge=0)
    """Once something was recorded, so much silence ends the collection early."""
    collect_every: float = Field(default=0.1, ge=0)
    """A recording shows what it saw at its next background collection only (peer: 30, and none in the first 20)."""
    replay_timeout: float = Field(default=2, gt=0)
    """Read timeout of a replayed request."""
    execute_wait: float = Field(default=0.05, ge=0)
    """What `execute` sleeps between creating a fault and reading it back (peer: 1)."""
    fault_start: float = Field(default=0.15, ge=0)
    """From a fault's creation to its phase Running or Error."""
    fault_stop: float = Field(default=0.15, ge=0)
    """From a fault's deletion until it is gone."""
    restart_time: float = Field(default=0.4, ge=0)
    """A deleted pod or killed process is back after so long, although its fault stays Running."""
    hang_limit: float = Field(default=30, gt=0)
    """A lost packet's request, or a hanging answer, is cut off after so long at the latest."""
    upstream_timeout: float = Field(default=30, gt=0)
    """A real service behind the lab has so long for its whole answer; then its caller gets a 504."""
    health_timeout: float = Field(default=2, gt=0)
    """A real service that is asked for its health has so long to answer."""
