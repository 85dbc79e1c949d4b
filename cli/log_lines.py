"""The worker's own log: one record is one entry, whatever peers, plans and services have put into its text."""

from __future__ import annotations

import logging

from domain.control_characters import visible

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FURTHER = "\n    "
"""Before each line but the first, tracebacks included: no text can begin a line that looks like an entry."""


class LineFormatter(logging.Formatter):
    """Shows what would steer a terminal, and indents what follows a record's first line."""

    def __init__(self) -> None:
        super().__init__(LINE)

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, finished: exceptions and stacks are part of it."""
        # Not `splitlines`: it would also break where only some programs do.
        return _FURTHER.join(visible(super().format(record).replace("\r\n", "\n")).split("\n"))


def log_to_stderr() -> None:
    """Send everything from INFO on to standard error, unless somebody has set up logging already."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
