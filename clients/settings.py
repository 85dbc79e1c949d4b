"""The worker's settings, from the environment. A plan cannot change them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.timing import Timing, TimingPreset
from workflows.names import TASK_QUEUE

DEFAULT_DATABASE_URL = "sqlite+aiosqlite:///.holdfast/holdfast.db"
"""Beside where the worker is started; the folder is created."""


class Settings(BaseModel):
    """Each field is an environment variable, named in its alias.

    The Temporal connection is configured apart, by the standard `TEMPORAL_*` variables or TOML profile.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    database_url: Annotated[str, Field(alias="HOLDFAST_DATABASE_URL")] = DEFAULT_DATABASE_URL
    """SQLAlchemy URL: `sqlite+aiosqlite:///path` or `postgresql+asyncpg://...`."""
    timing: Annotated[TimingPreset, Field(alias="HOLDFAST_TIMING")] = TimingPreset.PRODUCTION
    """`production`, or `fast` for tests and the demo."""
    task_queue: Annotated[str, Field(alias="HOLDFAST_TASK_QUEUE", min_length=1)] = TASK_QUEUE
    """Control queue; load runs on the same name with `-load`."""
    sweeper: Annotated[bool, Field(alias="HOLDFAST_SWEEPER")] = True
    """Whether the worker creates the sweeper's schedule when there is none."""

    @property
    def intervals(self) -> Timing:
        """The intervals of the chosen preset."""
        return Timing.of(self.timing)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            HoldfastError: VALIDATION_ERROR naming the variable that is wrong.
        """
        known = {field.alias for field in cls.model_fields.values()}
        try:
            return cls.model_validate({name: value for name, value in environ.items() if name in known})
        except ValidationError as error:
            first = error.errors()[0]
            raise HoldfastError(
                ErrorCode.VALIDATION_ERROR, f"environment variable {first['loc'][0]}: {first['msg']}"
            ) from error
