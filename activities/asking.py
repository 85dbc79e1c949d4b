"""The plan's request while services are really broken: what it gets, and whether the faults were on all the while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from activities.toolbox import Subject, Toolbox
from clients.load.sending import KEPT_BODY, was_cut
from clients.requests import prepare
from clients.secrets import Redactor
from workflows.contracts.errors import ErrorCode, HoldfastError
from workflows.contracts.exchange import Measurement, RequestSample
from workflows.logic.fidelity import Answer
from workflows.logic.percentiles import measure


async def require_running(tools: Toolbox, subject: Subject, faults: Mapping[str, str], when: str) -> None:
    """See that each of these faults is running.

    Raises:
        HoldfastError: FAULT_NOT_RUNNING, which names the first one that is not.
    """
    client = tools.faults(subject.plan)
    for service, name in sorted(faults.items()):
        status = await client.status(name)
        if status is None or not status.running:
            raise HoldfastError(
                ErrorCode.FAULT_NOT_RUNNING,
                f"fault {name} in {service} was not running {when}",
                hint="is safety.fault_ttl too short, or does the service heal itself?",
            )


async def ask(
    tools: Toolbox, subject: Subject, wanted: int, marks: Sequence[str] = ()
) -> tuple[list[Answer], Measurement]:
    """Send the plan's request as the load test does: each answer, redacted, and what the requests measured.

    As many at once, or at the plan's rate, evenly: a few requests need no chance between them. Each carries its own of
    `marks` as baggage, by which its calls are recognised in recordings; without any, they carry none.
    """
    baggage: Sequence[str | None] = marks or [None] * wanted
    redactor, load = tools.redactor(subject.plan), subject.plan.load
    samples: list[RequestSample] = []
    answers: list[Answer] = []
    left = iter([prepare(subject.plan.request, tools.secrets, one) for one in baggage[:wanted]])

    async def work(after: float) -> None:
        await asyncio.sleep(after)
        for request in left:
            sample, body = await tools.load.ask(request)
            samples.append(sample)
            answers.append(_answer(sample, body, redactor))
            if load.rate is not None:
                return

    started = time.perf_counter_ns()
    async with asyncio.TaskGroup() as group:
        for number in range(wanted if load.rate is not None else min(load.concurrency, wanted)):
            group.create_task(work(number / load.rate if load.rate is not None else 0))
    last = next((one for one in reversed(answers) if one.status is not None), Answer(None, ""))
    measurement = measure(
        samples,
        duration_us=(time.perf_counter_ns() - started) // 1_000,
        last_status=last.status,
        last_body=last.body,
    )
    return answers, measurement


def _answer(sample: RequestSample, body: str, redactor: Redactor) -> Answer:
    """Cut as the load test cuts what it keeps, then redact: both sides are cut at the same place."""
    kept = body.encode()[:KEPT_BODY]
    redacted = redactor.body(kept.decode(errors="replace"), cut=was_cut(kept)) if sample.status is not None else ""
    return Answer(sample.status, redacted, sample.error_kind)
