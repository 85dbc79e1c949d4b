"""What an activity's span says of its work, beside what the SDK writes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from activities.log_context import EXECUTION
from clients.telemetry.tracing import current_spans


def describe_span(order: Any) -> None:
    """Add an order's execution, services, fault and cases to the activity's span, if there is one."""
    spans = current_spans()
    if spans is None:
        return
    # Called at the beginning of every activity, closing ones among them: nothing of this may fail one.
    with suppress(Exception):
        spans.describe(_facts(order))


def _facts(order: Any) -> dict[str, str | int]:
    facts: dict[str, str | int] = {}
    if (execution := EXECUTION.get()) is not None:
        facts["holdfast.execution.id"] = execution
    if service := getattr(order, "service", None):
        facts["holdfast.service"] = str(service)
    if fault := getattr(order, "fault_name", None):
        facts["holdfast.fault"] = str(fault)
    if (cases := getattr(order, "cases", None)) is not None and hasattr(cases, "first"):
        facts["holdfast.cases"] = f"{cases.first}-{cases.end - 1}"
    return facts
