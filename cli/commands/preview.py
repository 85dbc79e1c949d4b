"""`holdfast preview`: all that a run would do, without touching anything.

It is there before anybody agrees to the run. No peer is asked.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import click

from cli.console import clear_errors, say
from cli.options import AS_JSON, PLAN
from cli.plans import valid_plan, warn_of_refusals
from cli.ui.columns import aligned
from cli.ui.spans import in_words
from clients.settings import Settings
from domain.executions.windows import WindowKind
from domain.guardrails.check import MAX_ACTIVE_FAULTS
from domain.plans.plan import Plan
from domain.preview.build import ASSUMED, preview
from domain.preview.model import Preview
from domain.units import format_duration, parse_duration

_WIDTH = 118

_KINDS = {WindowKind.CALLS: "recording of calls", WindowKind.PAIR_FAULT: "fault of a pair"}

_MOST_SHOWN = 12
"""Most excluded cases named here. The JSON has more."""


class _Time(click.ParamType[timedelta]):
    """A duration with its unit, as in plans."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Parse the duration, or fail with a hint how to write it."""
        try:
            found = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        return found


@click.command("preview")
@PLAN
@click.option("--assume", type=_Time(), metavar="TIME", default=format_duration(ASSUMED), show_default=True,
              help="Assumed time of one request, for the shortest duration.")  # fmt: skip
@AS_JSON
@clear_errors
def preview_plan(plan: Path, assume: timedelta, *, as_json: bool) -> None:
    """Show what a run would do, without touching anything.

    The preview has the cases, the real requests, the faults, what happens to each workload, and how long it all takes.
    The intervals are those of HOLDFAST_TIMING, which must be the worker's.
    """
    file = valid_plan(plan, as_json=as_json)
    found = preview_of(file.plan, assume)
    if as_json:
        say(found.model_dump_json(indent=2))
        return
    show_preview(found, plan)
    warn_of_refusals(file.plan)


def show_preview(found: Preview, plan: Path) -> None:
    """Print a preview for people."""
    for line in preview_lines(found):
        say(line)
    say(f"next: `holdfast run {plan}` does it")


def preview_of(plan: Plan, assumed: timedelta = ASSUMED) -> Preview:
    """Preview a plan with this environment's intervals and limit of faults."""
    settings = Settings.from_environment(os.environ)
    return preview(plan, settings.intervals, assumed, settings.max_active_faults)


def preview_lines(found: Preview) -> Iterator[str]:
    """Yield the whole preview, for people."""
    yield f"plan {found.plan}: what a run does to namespace {found.namespace} of {found.environment}"
    yield "this preview comes from the plan alone: nothing is switched on, and no peer is asked"
    yield from _cases(found)
    yield from _requests(found)
    yield from _faults(found)
    yield from _discovery(found)
    yield from _workloads(found)
    yield from _duration(found)
    yield from _recovery(found)


def _cases(found: Preview) -> Iterator[str]:
    cases = found.cases
    yield ""
    counted = f"{cases.baseline} baseline, {cases.single} single, {cases.dual} pairs"
    yield f"cases: {cases.total} ({counted}), {cases.measured} measured, {cases.excluded} excluded"
    yield f"  batches of {cases.batch_size}: {cases.batches}, on pages: {cases.pages}"
    for case in cases.left_out[:_MOST_SHOWN]:
        yield f"  {case.case_id}: {case.reason}"
    if cases.excluded > _MOST_SHOWN:
        yield f"  ... and {cases.excluded - min(_MOST_SHOWN, len(cases.left_out))} more"


def _requests(found: Preview) -> Iterator[str]:
    sent = found.requests
    yield ""
    most = "up to " if sent.at_most else ""
    each = "request" if found.requests_per_case == 1 else "requests"
    yield f"real requests: {'up to ' if sent.warm_up else most}{sent.total} times {found.method} {found.url}"
    rows = [
        (sent.steady_before, "steady state, before anything is switched on"),
        (sent.analysis, f"analysis, while the proxy records; up to {sent.analysis_at_most} when it fails"),
        (sent.calls, f"while calls are recorded, healthy; up to {sent.calls_in_all_rounds} when more is found"),
        (sent.broken, f"while each service is broken, {_times(found)}: what does it call then?"),
        (sent.load, f"load test: {found.cases.measured} cases, {most}{found.requests_per_case} {each} each"),
        *([(sent.control, "load test: baseline requests among those of the cases")] if sent.control else []),
        *([(sent.warm_up, "load test: warm-up, at most; fewer when two blocks agree")] if sent.warm_up else []),
        (sent.steady_after, "steady state, when everything is off; again until it is met"),
        (sent.steady_at_end, "steady state, seen by the lock at the very end; again until it is met"),
    ]
    width = len(str(sent.total))
    yield from (f"  {count:>{width}}  {what}" for count, what in rows)
    if found.login:
        yield f"  and {found.login} for the token: once by each process that sends, again after a 401"
    if sent.watched_every_seconds is not None:
        every = format_duration(timedelta(seconds=sent.watched_every_seconds))
        yield f"  and one every {every}, from before the recording until all is off (stop.request)"
    yield f"  and {len(found.replays)} replays: for each service, the proxy sends its recorded requests once more,"
    yield "  to the service itself while it is broken; their number depends on the recording"


def _faults(found: Preview) -> Iterator[str]:
    yield ""
    ttl = _seconds(found.faults[0].ttl_seconds)
    yield f"faults: {len(found.faults)}, {_together(found)}, each ends by itself after {ttl} (safety.fault_ttl)"
    for fault in found.faults:
        yield f"  {fault.service}: {fault.type}, which is {fault.scope}-{fault.target} {fault.action}"
        yield from _wrapped("; ".join(f"{name}={','.join(values)}" for name, values in fault.matchers.items()), "    ")


def _times(found: Preview) -> str:
    each = found.discovery.requests_each if found.discovery else 0
    return "1 request each" if each == 1 else f"{each} requests each"


def _discovery(found: Preview) -> Iterator[str]:
    discovery = found.discovery
    if discovery is None:
        return
    yield ""
    yield "fallback calls: requests that services receive only, or more often, while something is broken"
    most = f"up to {discovery.more_faults} more faults, in rounds 2 to {discovery.rounds}"
    text = (
        f"calls are recorded while services are broken; services that receive such calls are broken once more: {most}"
    )
    yield from _wrapped(text, "  ")
    if discovery.two_faults:
        text = (
            f"pairs really broken, two faults at once: up to {discovery.pairs_calling} where one failure makes the "
            f"other service receive calls, and after the load test up to {discovery.pairs_in_doubt} whose result by "
            f"rules is in doubt; up to {discovery.requests_each_pair} requests each"
        )
    else:
        text = (
            "no pair is really broken: where the worker allows two faults at once "
            f"({MAX_ACTIVE_FAULTS}=2), pairs in doubt are run with two real faults"
        )
    yield from _wrapped(text, "  ")


def _together(found: Preview) -> str:
    if found.faults_at_once == 1:
        return "one at a time"
    return f"up to {found.faults_at_once} at once and never two on one call path (safety.max_active_faults)"


def _workloads(found: Preview) -> Iterator[str]:
    rollouts = sum(step.rollouts for step in found.workload_steps)
    rules = found.rules
    yield ""
    names = ", ".join(found.replays)
    yield from _wrapped(f"workloads: each of these has its pods replaced up to {rollouts} times: {names}", "", "  ")
    for step in found.workload_steps:
        restarts = f" (rollouts: up to {step.rollouts})" if step.rollouts else ""
        yield from _wrapped(step.change + restarts, "  - ", "    ")
    yield f"rules: at least {rules.at_least} ({rules.per_service_at_least} per service: its canary, and one for each"
    yield f"  recorded request that the fault changed), removed by the proxy after {_seconds(rules.ttl_seconds)}"


def _duration(found: Preview) -> Iterator[str]:
    yield ""
    yield f"duration: at least {_seconds(found.at_least_seconds)}, at most {_seconds(found.at_most_seconds)}"
    if found.deadline_seconds is not None:
        yield f"  but it is stopped after {_seconds(found.deadline_seconds)} (stop.deadline); closing comes on top"
    headings = ("phase", "what", "at least", "at most")
    rows = [
        (stage.phase, stage.what, _seconds(stage.at_least_seconds), _seconds(stage.at_most_seconds))
        for stage in found.stages
    ]
    yield from (f"  {line}" for line in aligned(headings, rows, {2, 3}))
    assumed = format_duration(timedelta(seconds=found.assumed_request_seconds))
    yield f"  at least: a request takes {assumed} (--assume) and the peers act at once. What they need comes on top;"
    yield "  on a cluster the recording alone takes 2 to 10 minutes, and every rollout its time"
    yield "  at most: every timeout is reached. Not counted: waiting for another run, pauses, no worker or no store"
    yield f"  intervals of timing `{found.timing}` (HOLDFAST_TIMING, as the worker has it)"


def _recovery(found: Preview) -> Iterator[str]:
    yield ""
    yield f"worst time to recovery: {_seconds(found.worst_failing_seconds)} for what makes services fail, which is"
    yield f"  faults and rules; {_seconds(found.worst_recovery_seconds)} for recordings, which only listen"
    headings = ("on", "no worker comes back", "its window", "the sweeper")
    rows = [
        (
            _KINDS.get(item.kind, item.kind),
            _seconds(item.ttl_seconds),
            _seconds(item.window_seconds),
            _seconds(item.swept_seconds),
        )
        for item in found.remains_on
    ]
    yield from (f"  {line}" for line in aligned(headings, rows, {1, 2, 3}))
    yield "  if the worker dies just after something came on and none comes back, the peer's own limit ends it; one"
    yield "  sweep of a worker that is back has then seen it. The others count where a peer has forgotten its limit"


def _wrapped(text: str, first: str, others: str | None = None) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=first if others is None else others)


def _seconds(seconds: float) -> str:
    return "< 1 s" if 0 < seconds < 1 else in_words(timedelta(seconds=seconds))
