"""The settings of the embedded Temporal server, in `temporal-dev.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clients.plans.files import read_document
from domain.errors import ErrorCode, HoldfastError
from domain.names import SearchAttribute

DEFAULT_FILE = Path(__file__).parents[2] / "temporal-dev.yaml"

_SETTINGS = f"the server's settings are in {DEFAULT_FILE.name}, which is read if no other file is given"


class DevServerSettings(BaseModel):
    """The settings in `temporal-dev.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ip: str = "127.0.0.1"
    port: int = Field(7233, ge=0, le=65535)
    """Port; if it is 0 or taken, a free one is used."""
    ui_port: int = Field(8233, ge=0, le=65535)
    database_file: str = ""
    """Database file, relative to the current folder; empty keeps everything in memory."""
    namespace: str = "default"
    retention_days: int = Field(30, ge=1, le=365)
    log_level: Literal["debug", "info", "warn", "error", "never"] = "error"
    search_attributes: list[SearchAttribute] = list(SearchAttribute)

    @classmethod
    def load(cls, path: Path = DEFAULT_FILE) -> DevServerSettings:
        """Read the settings from a file.

        Raises:
            HoldfastError: VALIDATION_ERROR naming the file and the field.
        """
        try:
            document = read_document(path, _SETTINGS)
            return cls.model_validate({} if document is None else document)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            message = f"{path}: {place or 'settings'}: {first['msg']}"
            raise HoldfastError(ErrorCode.VALIDATION_ERROR, message, hint=_SETTINGS) from error
