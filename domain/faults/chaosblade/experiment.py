"""The ChaosBlade experiment, as a plan may give it in full."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from domain.base import StrictModel

PlainToken = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=63)]
"""A word that reaches the peer's YAML unquoted. It starts with a letter and has no spaces (`peer-contract` section
2.2)."""


class Experiment(StrictModel):
    """One ChaosBlade experiment.

    Only these fields reach the cluster (`peer-contract` section 2.2).
    """

    scope: PlainToken
    """`pod` or `container`."""
    target: PlainToken
    """What is disturbed, for example `network`."""
    action: PlainToken
    """How it is disturbed, for example `delay`."""
    matchers: dict[PlainToken, list[str]] = Field(min_length=1)
    """Parameters of the experiment. Every parameter is a matcher, and every value a list of strings; the peer drops
    anything else."""
