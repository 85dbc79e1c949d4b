"""The outcome and the recovery of a run, in one sentence each."""

from __future__ import annotations

from collections.abc import Sequence

from domain.executions.execution import Recovery, RunStatus, Verdict
from domain.executions.state import ExecutionState
from domain.executions.windows import WindowState
from domain.resilience.model import CaseCounts, CaseVerdict
from domain.resilience.state import ResilienceState

_NAMED = 3
"""Cases or windows named in a sentence."""


def verdict_sentence(state: ResilienceState) -> str:
    """Describe the outcome of a run for readers who stop there."""
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


def outcome_sentence(state: ExecutionState) -> str:
    """Describe the outcome of an execution of any kind for readers who stop there."""
    if state.status in (RunStatus.PENDING, RunStatus.RUNNING):
        return f"It is still under way: {state.progress} %."
    if state.status is RunStatus.COMPLETED:
        return f"{state.verdict.capitalize()}." if state.verdict else "Done."
    if state.status is RunStatus.CANCELLED:
        return "No result: it was cancelled."
    what = "ran out of time" if state.status is RunStatus.TIMED_OUT else "ended early"
    return f"No result: it {what} ({state.error_code or 'no code'}: {_reason(state)})."


def _reason(state: ExecutionState) -> str:
    """Return the error message without the code repeated before it.

    Trailing colons, behind which a peer left nothing, are removed as well.
    """
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
        named = ", ".join(case.case_id for case in _unexplained_first(failed)[:_NAMED])
        more = counts.failed - min(len(failed), _NAMED)
        names = (f": {named}" + (f" and {more} more" if more > 0 else "")) if named else ""
        misses = "misses" if counts.failed == 1 else "miss"
        return f"Failed: {counts.failed} of {counts.total} cases {misses} the SLO{names}{rest}."
    are = "is" if counts.inconclusive == 1 else "are"
    unsure = f"; {counts.inconclusive} {are} inconclusive" if counts.inconclusive else ""
    return f"Inconclusive: {counts.passed} of {counts.total} cases meet the SLO and none misses it{unsure}{rest}."


def _unexplained_first(failed: Sequence[CaseVerdict]) -> list[CaseVerdict]:
    """Order failed cases, with pairs that a single explains last.

    A pair shows nothing new if one of its services already fails alone.
    """
    alone = {case.case_id for case in failed if "+" not in case.case_id}
    return sorted(failed, key=lambda case: case.case_id not in alone and not alone.isdisjoint(case.case_id.split("+")))


def _all(measured: int) -> str:
    return "the one measured case meets" if measured == 1 else f"all {measured} measured cases meet"


def _unmeasured(counts: CaseCounts) -> str:
    """Describe the cases that are not in the verdict.

    Every verdict mentions them.
    """
    parts = [
        f"{counts.inconclusive} inconclusive" if counts.inconclusive and counts.failed else "",
        f"{counts.invalid} invalid" if counts.invalid else "",
        f"{counts.skipped} skipped" if counts.skipped else "",
        f"{counts.excluded} of them excluded by the plan" if counts.excluded else "",
        f"{counts.dispensable} of them not required by the plan" if counts.dispensable else "",
    ]
    listed = ", ".join(part for part in parts if part)
    return f"; {listed}" if listed else ""


def recovery_sentence(state: ExecutionState) -> str:
    """Describe whether the system is known to be restored.

    Only a verified or an unneeded recovery counts as restored.
    """
    if state.recovery is Recovery.VERIFIED:
        return "Recovery verified: everything that was switched on was seen to be off."
    if state.recovery is Recovery.NOT_NEEDED:
        return "Recovery not needed: nothing was switched on."
    still = [window.peer_name or window.window_id for window in state.windows if window.state is not WindowState.CLOSED]
    named = ", ".join(still[:_NAMED]) + (f" and {len(still) - _NAMED} more" if len(still) > _NAMED else "")
    if state.recovery is None and state.finished_at is None:
        return "Recovery not yet: the run is under way" + (
            f"; on, or not yet seen to be off: {named}." if named else "."
        )
    return "Recovery UNVERIFIED: something may still be on" + (f": {named}." if named else ".")
