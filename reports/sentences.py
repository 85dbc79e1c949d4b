"""What came of a run, in one sentence, and whether everything is off, in another."""

from __future__ import annotations

from collections.abc import Sequence

from workflows.contracts.execution import CaseCounts, CaseVerdict, Recovery, RunStatus, Verdict
from workflows.contracts.status import RunState
from workflows.contracts.windows import WindowState

_NAMED = 3
"""Cases, or windows, that a sentence names."""


def verdict_sentence(state: RunState) -> str:
    """For somebody who reads nothing else."""
    counts = state.cases
    if state.status in (RunStatus.PENDING, RunStatus.RUNNING):
        done = f"{counts.measured} of {counts.total} cases are measured" if counts.total else "no case is measured yet"
        return f"The run is still under way, in {state.phase}: {done}."
    if state.status is RunStatus.COMPLETED and state.verdict is not None:
        return _judged(state.verdict, counts, state.failed_cases)
    measured = f"{counts.measured} of {counts.total} cases were measured" if counts.total else "no case was measured"
    if state.status is RunStatus.CANCELLED:
        return f"No verdict: the run was cancelled; {measured}."
    why = f"{state.error_code or 'no code'}: {_reason(state)}"
    what = "ran out of time" if state.status is RunStatus.TIMED_OUT else "ended early"
    seen = f" What was measured until then: {counts.failed} failed." if counts.failed else ""
    return f"No verdict: the run {what} ({why}); {measured}.{seen}"


def _reason(state: RunState) -> str:
    """The message without the code's own word before it, and without a colon that a peer left nothing behind."""
    message = state.error_message.rstrip(" :.")
    own = f"{state.error_code or ''}: "
    if message[: len(own)].upper() == own.upper():
        message = message[len(own) :]
    return message or "no reason is known"


def _judged(verdict: Verdict, counts: CaseCounts, failed: Sequence[CaseVerdict]) -> str:
    rest = _unmeasured(counts)
    if verdict is Verdict.PASSED:
        return f"Passed: {_all(counts.measured)} the SLO{rest}."
    if verdict is Verdict.FAILED:
        named = ", ".join(one.case_id for one in _telling_first(failed)[:_NAMED])
        more = counts.failed - min(len(failed), _NAMED)
        names = (f": {named}" + (f" and {more} more" if more > 0 else "")) if named else ""
        misses = "misses" if counts.failed == 1 else "miss"
        return f"Failed: {counts.failed} of {counts.total} cases {misses} the SLO{names}{rest}."
    are = "is" if counts.inconclusive == 1 else "are"
    unsure = f"; {counts.inconclusive} {are} inconclusive" if counts.inconclusive else ""
    return f"Inconclusive: {counts.passed} of {counts.total} cases meet the SLO and none misses it{unsure}{rest}."


def _telling_first(failed: Sequence[CaseVerdict]) -> list[CaseVerdict]:
    """A pair is no news where one of its services fails a case alone."""
    alone = {one.case_id for one in failed if "+" not in one.case_id}
    return sorted(failed, key=lambda one: one.case_id not in alone and not alone.isdisjoint(one.case_id.split("+")))


def _all(measured: int) -> str:
    return "the one measured case meets" if measured == 1 else f"all {measured} measured cases meet"


def _unmeasured(counts: CaseCounts) -> str:
    """What is not in the verdict is always told with it."""
    parts = [
        f"{counts.inconclusive} inconclusive" if counts.inconclusive and counts.failed else "",
        f"{counts.invalid} invalid" if counts.invalid else "",
        f"{counts.skipped} skipped" if counts.skipped else "",
        f"{counts.excluded} of them excluded by the plan" if counts.excluded else "",
        f"{counts.dispensable} of them may lack by the plan" if counts.dispensable else "",
    ]
    told = ", ".join(part for part in parts if part)
    return f"; {told}" if told else ""


def recovery_sentence(state: RunState) -> str:
    """Whether the system is known to be as it was. Anything but yes is no."""
    if state.recovery is Recovery.VERIFIED:
        return "Recovery verified: everything that was switched on was seen to be off."
    if state.recovery is Recovery.NOT_NEEDED:
        return "Recovery not needed: nothing was switched on."
    still = [one.peer_name or one.window_id for one in state.windows if one.state is not WindowState.CLOSED]
    named = ", ".join(still[:_NAMED]) + (f" and {len(still) - _NAMED} more" if len(still) > _NAMED else "")
    if state.recovery is None and state.finished_at is None:
        return "Recovery not yet: the run is under way" + (
            f"; on, or not yet seen to be off: {named}." if named else "."
        )
    return "Recovery UNVERIFIED: something may still be on" + (f": {named}." if named else ".")
