"""The worker's own log: one entry per record.

Nothing that peers, plans and services put into a record's text can change that.
"""

from __future__ import annotations

import logging

from domain.control_characters import visible

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_FURTHER = "\n    "
"""Starts every line of an entry but its first, tracebacks included.

No text can then forge a line that looks like an entry.
"""


class LineFormatter(logging.Formatter):
    """Spells out control characters, and indents a record's lines after the first."""

    def __init__(self) -> None:
        super().__init__(LINE)

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, with its exception and stack."""
        # Not `splitlines`: it also splits at characters that only some programs treat as line ends.
        return _FURTHER.join(visible(super().format(record).replace("\r\n", "\n")).split("\n"))


def log_to_stderr() -> None:
    """Log INFO and above to standard error, unless logging is set up."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
