"""The plan's request, sent while services are really broken.

Also the check that the faults are active meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from activities.toolbox import Subject, Toolbox
from clients.load.sending import KEPT_BODY, was_cut
from clients.secrets.values import Redactor
from domain.errors import ErrorCode, HoldfastError
from domain.measuring.percentiles import measure
from domain.pairs.comparing import Answer
from domain.traffic.exchange import Measurement, RequestSample


async def require_running(tools: Toolbox, subject: Subject, faults: Mapping[str, str], when: str) -> None:
    """Check that each of these faults is running.

    Raises:
        HoldfastError: FAULT_NOT_RUNNING, naming the first fault that is not running.
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
    """Send the plan's request `wanted` times, as the load test does.

    Each request carries one of `marks` as baggage, by which its calls are recognised in recordings. Without `marks`,
    the requests carry no baggage.

    Returns:
        The redacted answers, and the measurement of the requests.
    """
    baggage: Sequence[str | None] = marks or [None] * wanted
    redactor, load = tools.redactor(subject.plan), subject.plan.load
    samples: list[RequestSample] = []
    answers: list[Answer] = []
    left = iter([tools.probe(subject.plan).prepare(mark) for mark in baggage[:wanted]])

    async def work(delay: float) -> None:
        await asyncio.sleep(delay)
        for probe in left:
            sample, body = await probe.ask()
            samples.append(sample)
            answers.append(_answer(sample, body, redactor))
            if load.rate is not None:
                return

    started = time.perf_counter_ns()
    # At the plan's concurrency, or at its rate with even spacing: a few requests need no random arrivals.
    async with asyncio.TaskGroup() as group:
        for number in range(wanted if load.rate is not None else min(load.concurrency, wanted)):
            group.create_task(work(number / load.rate if load.rate is not None else 0))
    last = next((answer for answer in reversed(answers) if answer.status is not None), Answer(None, ""))
    measurement = measure(
        samples,
        duration_us=(time.perf_counter_ns() - started) // 1_000,
        last_status=last.status,
        last_body=last.body,
    )
    return answers, measurement


def _answer(sample: RequestSample, body: str, redactor: Redactor) -> Answer:
    # Cut as the load test cuts its bodies, then redact, so that both sides of a comparison are cut at the same place.
    kept = body.encode()[:KEPT_BODY]
    redacted = redactor.body(kept.decode(errors="replace"), cut=was_cut(kept)) if sample.status is not None else ""
    return Answer(sample.status, redacted, sample.error_kind)
