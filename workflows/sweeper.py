"""`Sweeper`: runs a single activity, started by a Temporal Schedule."""

from __future__ import annotations

from temporalio import workflow

from domain.executions.sweeping import LONGEST_SWEEP, SweepOrder, SweepReport
from domain.names import WorkflowType
from domain.timing import Timing
from workflows import policies

with workflow.unsafe.imports_passed_through():
    from activities.recovery.sweeping import SweepActivities


@workflow.defn(name=WorkflowType.SWEEPER)
class Sweeper:
    """One sweep over the ledger."""

    @workflow.run
    async def run(self) -> SweepReport:
        """Sweep once."""
        return await workflow.execute_activity_method(
            SweepActivities.sweep,
            SweepOrder(),
            summary="Close what no window holds any more",
            **policies.waiting(Timing(), LONGEST_SWEEP),
        )
