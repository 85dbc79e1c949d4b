"""Where things are that tests read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PLANS = ROOT / "tests" / "plans"
SHARED = ROOT.parent / "shared" / "data"
"""Real data beside the project, which users do not have: tests that need it skip where it is absent."""
