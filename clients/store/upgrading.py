"""Alembic's part of a migration: it brings a schema to the newest version.

Imported only where a schema is not at that version: the import alone takes a good part of a short command.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Connection

from domain.errors import ErrorCode, HoldfastError


def upgrade(connection: Connection, migrations: str) -> None:
    """Run the migrations of this folder that the database lacks.

    Raises:
        HoldfastError: STORE_CONFLICT when the schema is newer than this code.
    """
    config = Config()
    config.set_main_option("script_location", migrations.replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise HoldfastError(
            ErrorCode.STORE_CONFLICT,
            f"this version does not know the database's schema: {error}",
            hint="a newer version wrote it: use that version, or another database",
        ) from error
