"""What the Temporal Web UI says of a resilience test before it has done anything, as Markdown."""

from __future__ import annotations

from domain.executions.web_ui_table import cell
from domain.faults.model import fault_type
from domain.plans.plan import Plan

_MOST_SERVICES = 50
"""Rows of the table. The server takes 20 KiB for all of it."""


def plan_details(plan: Plan) -> str:
    """Describe a plan: what it is for, and which services it breaks, how.

    The request and addresses are left out: they may contain what not everybody should see.
    """
    rows = [f"| {service.name} | {cell(fault_type(service.fault))} |" for service in plan.services[:_MOST_SERVICES]]
    left_out = len(plan.services) - len(rows)
    return "\n".join(
        [
            *([cell(plan.description), ""] if plan.description else []),
            *([f"Team: {plan.team}", ""] if plan.team else []),
            "| service | how it is made to fail |",
            "| --- | --- |",
            *rows,
            *(["", f"and {left_out} more"] if left_out else []),
        ]
    )
