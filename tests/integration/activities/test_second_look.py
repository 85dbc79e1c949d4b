"""Another installation may begin between pre-flight and the moment anything is switched on."""

from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError

from clients.peers.faults import FaultClient
from domain.errors import ErrorCode
from domain.faults.chaosblade.experiment import Experiment
from lab.misbehaviour.names import Endpoint
from tests.support.activities.stage import Stage


async def test_no_analysis_begins_once_another_installation_has_injected_a_fault(stage: Stage) -> None:
    """This installation sees that fault as the marker. Once it is gone, the analysis begins."""
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
