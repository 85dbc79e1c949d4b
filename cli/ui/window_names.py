"""Words for the windows of an execution."""

from __future__ import annotations

from domain.executions.state import WindowRow
from domain.executions.windows import WindowKind

NAMES = {
    WindowKind.RECORDING: "recording",
    WindowKind.CALLS: "recording of calls",
    WindowKind.FAULT: "fault in",
    WindowKind.PAIR_FAULT: "pair's fault in",
    WindowKind.RULES: "rules",
    WindowKind.PAIRS: "pairs with two real faults",
}
"""Names of the windows that switch something on."""


def window_label(row: WindowRow) -> str:
    """Name what a window has switched on."""
    return f"{NAMES.get(row.kind, row.window_id)} {row.service}".strip()
