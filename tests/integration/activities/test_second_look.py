"""Between pre-flight and the first thing that is switched on, another installation may have begun."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from clients.peers.faults import FaultClient
from domain.errors import ErrorCode
from domain.faults.model import Experiment
from lab.names import Endpoint
from tests.support.activities.stage import Stage


async def test_nothing_is_recorded_when_a_fault_of_ours_has_come_on_since(stage: Stage) -> None:
    """The other installation's fault is the marker that this one sees; once it is gone, the analysis begins."""
    name = "hf-z-reviews-00000000-1"
    harmless = Experiment(scope="pod", target="nothing", action="none", matchers={"labels": ["app=reviews"]})
    async with FaultClient(stage.lab.addresses.faults) as other:
        await other.execute(name, 300, harmless)
        with pytest.raises(ApplicationError) as raised:
            await stage.do(stage.traffic.start, stage.ref)
        assert (raised.value.type, name in raised.value.message) == (ErrorCode.ENVIRONMENT_NOT_CLEAN, True)
        assert stage.lab.calls[Endpoint.ANALYZE] == 0
        await other.delete(name)
    assert (await stage.do(stage.traffic.start, stage.ref)).task_id
