"""Turns any error that ended the stages into the run's typed failure."""

from __future__ import annotations

from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, ChildWorkflowError, TerminatedError
from temporalio.exceptions import TimeoutError as TemporalTimeout

from domain.errors import ERRORS, ErrorCode, Problem, ValidationReport
from domain.executions.execution import Recovery, RunFailure
from domain.plans.validation.wording import in_one_sentence
from workflows.windows.cancellation import cause_of, text_of


class StageError(Exception):
    """A stage's finding that the run cannot go on.

    Raised and caught inside an execution's workflow only.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def failure_of(error: BaseException, step: str, recovery: Recovery | None, execution_id: int | None) -> RunFailure:
    """Return the typed failure for an error that ended the stages.

    While anything is still open, recovery counts as unverified.
    """
    code, message = _code_of(error)
    return RunFailure(
        code=code,
        error_class=ERRORS[code].error_class,
        phase=step,
        message=message,
        recovery=recovery or Recovery.UNVERIFIED,
        execution_id=execution_id,
        problems=_problems_of(error),
    )


def _problems_of(error: BaseException) -> list[Problem]:
    """Return the problems listed by an activity that refused the plan."""
    application = cause_of(error)
    details = application.details if application is not None else ()
    try:
        return ValidationReport.model_validate(details[0]).problems if details else []
    except ValueError:
        return []


def _code_of(error: BaseException) -> tuple[ErrorCode, str]:
    if isinstance(error, StageError):
        return error.code, error.message
    application = cause_of(error)
    if application is None and isinstance(error, ApplicationError):
        application = error
    if application is not None and application.type and application.type in ErrorCode.__members__:
        return ErrorCode(application.type), application.message
    child, root = _chain(error)
    if child is not None and isinstance(root, (TerminatedError, CancelledError)):
        # The run itself cancels a window only when it is ending. So here somebody outside ended it.
        terminated = isinstance(root, TerminatedError)
        code = ErrorCode.TERMINATED if terminated else ErrorCode.CANCELLED
        return code, f"{child.workflow_id} was {'terminated' if terminated else 'cancelled'} from outside"
    if isinstance(root, TemporalTimeout):
        return ErrorCode.PEER_TIMEOUT, f"an activity took too long: {text_of(error)}"
    return ErrorCode.UNEXPECTED, f"{type(error).__name__}: {text_of(error)}"


def _chain(error: BaseException) -> tuple[ChildWorkflowError | None, BaseException | None]:
    """Return the innermost failed window or page, and the root error."""
    child: ChildWorkflowError | None = None
    cause: BaseException | None = error
    while isinstance(cause, (ActivityError, ChildWorkflowError)):
        child = cause if isinstance(cause, ChildWorkflowError) else child
        cause = cause.cause
    return child, cause


def application_error(failure: RunFailure) -> ApplicationError:
    """Return the application error: type = the code, detail = the failure."""
    return ApplicationError(failure.message, failure, type=failure.code, non_retryable=True)


def refused_input(problems: list[Problem], step: str) -> RunFailure:
    """Return the failure of an execution with invalid input.

    Recovery is not needed, because nothing was switched on.
    """
    kind = ERRORS[ErrorCode.VALIDATION_ERROR]
    return RunFailure(
        code=ErrorCode.VALIDATION_ERROR,
        error_class=kind.error_class,
        phase=step,
        message=f"{kind.error_class} {in_one_sentence(problems)}",
        recovery=Recovery.NOT_NEEDED,
        problems=problems,
    )
