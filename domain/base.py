"""Base classes of all contracts: which of them accept unknown fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """A value passed between workflows and activities.

    Unknown fields are ignored, so that a worker can read what a newer worker wrote: contracts only ever gain
    optional fields (`docs/architecture.md`). Values are frozen: state lives in one named class, not in messages.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, ser_json_timedelta="float")


class StrictModel(BaseModel):
    """A part of a plan, in which unknown fields are errors.

    A typo must not silently change what is tested.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, validate_default=False, use_attribute_docstrings=True
    )


class UnfitError(ValueError):
    """A value that does not fit its field.

    Raised while a plan or a workflow input is read. The hint is shown separately from the message.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.message = message
        self.hint = hint
