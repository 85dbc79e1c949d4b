"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Tests assert no timings, and a machine may be busy: how long one example takes proves nothing.
settings.register_profile("holdfast", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("holdfast")
