"""Translation of database and driver errors into ours, in one place only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from domain.errors import ErrorCode, HoldfastError

_SHOWN = 200
_MISSING_PARENT = ("23503", "SQLITE_CONSTRAINT_FOREIGNKEY")
_DATA_CLASSES = ("22", "23")
"""SQLSTATE classes of data exceptions and constraint violations."""
_ACCESS_CLASS = "42"
"""SQLSTATE class of statements that the role may not run, or that this schema does not have the tables for."""


@contextmanager
def translated(*, opening: bool = False) -> Iterator[None]:
    """Turn the libraries' errors into ours, once, and keep the cause.

    While a store is opened, a right that is lacking is final. Later it is not: an administrator may have revoked it by
    mistake, and what is on is closed without the store until then.

    Raises:
        HoldfastError: STORE_UNAVAILABLE for everything that a retry may fix (database away, locked or full); NOT_FOUND
            when a row refers to a run or case that does not exist; STORE_CONFLICT for everything that the database
            would refuse again.
    """
    try:
        yield
    except Exception as error:
        if not isinstance(error, SQLAlchemyError | OSError) and not _is_driver_error(error):
            raise
        raise _translate(error, opening) from error


def _is_driver_error(error: Exception) -> bool:
    # Some errors while connecting arrive as the driver raised them, not wrapped by SQLAlchemy.
    return type(error).__module__.partition(".")[0] in ("asyncpg", "sqlite3", "aiosqlite")


def _translate(error: Exception, opening: bool) -> HoldfastError:
    code = _code(error)
    reason = _describe(error)
    if code is ErrorCode.NOT_FOUND:
        return HoldfastError(code, "the store does not have the run or case that this row belongs to")
    if _state(error).startswith(_ACCESS_CLASS):
        return HoldfastError(
            ErrorCode.STORE_CONFLICT if opening else code,
            f"the database refuses the statement: {reason}",
            hint="the role lacks a right, or the tables are another version's: see docs/postgres.md, Roles",
        )
    if code is ErrorCode.STORE_CONFLICT:
        return HoldfastError(code, f"the database refuses the row: {reason}")
    return HoldfastError(
        code, f"the database could not do this now: {reason}", hint="check HOLDFAST_DATABASE_URL and the disk"
    )


def _origin(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def _state(error: Exception) -> str:
    origin = _origin(error)
    return str(getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None) or "")


def _code(error: Exception) -> ErrorCode:
    origin, state = _origin(error), _state(error)
    if state in _MISSING_PARENT:
        return ErrorCode.NOT_FOUND
    # A value that the driver cannot even send raises its DataError, which is also a ValueError.
    unfit = isinstance(origin, ValueError) or isinstance(getattr(origin, "__cause__", None), ValueError)
    if isinstance(error, IntegrityError | DataError) or state.startswith(_DATA_CLASSES) or unfit:
        return ErrorCode.STORE_CONFLICT
    may_pass = not isinstance(error, SQLAlchemyError) or isinstance(
        error, DBAPIError | DisconnectionError | PoolTimeoutError
    )
    return ErrorCode.STORE_UNAVAILABLE if may_pass else ErrorCode.STORE_CONFLICT


def _describe(error: Exception) -> str:
    # Only the driver's own message: the rest of the text quotes the statement with its parameters.
    origin = getattr(error, "orig", None) or error
    return f"{type(origin).__name__}: {next(iter(str(origin).splitlines()), '')[:_SHOWN]}"
