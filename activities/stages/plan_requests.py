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


async def send_requests(
    tools: Toolbox, subject: Subject, requests: int, markers: Sequence[str] = ()
) -> tuple[list[Answer], Measurement]:
    """Send the plan's request several times, as the load test does.

    Each request carries one of `markers` as baggage, by which its calls are recognised in recordings. Without
    `markers`, the requests carry no baggage.

    Returns:
        The redacted answers, and the measurement of the requests.
    """
    baggage: Sequence[str | None] = markers or [None] * requests
    redactor = tools.redactor(subject.plan)
    load = subject.plan.load
    samples: list[RequestSample] = []
    answers: list[Answer] = []
    # Shared by all senders: each takes the next probe.
    unsent = iter([tools.probe(subject.plan).prepare(marker) for marker in baggage[:requests]])

    async def work(delay: float) -> None:
        await asyncio.sleep(delay)
        for probe in unsent:
            sample, body = await probe.send_and_read()
            samples.append(sample)
            answers.append(_answer(sample, body, redactor))
            if load.rate is not None:
                return

    started = time.perf_counter_ns()
    if load.rate is not None:
        # Evenly spaced: a few requests need no random arrivals.
        delays = [number / load.rate for number in range(requests)]
    else:
        delays = [0.0] * min(load.concurrency, requests)
    async with asyncio.TaskGroup() as group:
        for delay in delays:
            group.create_task(work(delay))
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
