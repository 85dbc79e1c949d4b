"""Guard in front of every workflow, which refuses unreadable input.

By default, Temporal's SDK fails the workflow *task* for input that it cannot decode. The server then repeats the task
for ever, with a stack trace each time. A signal with one argument too many does the same to a window that holds
something active. Workflows cannot prevent this themselves, and a new workflow would forget to. So every workflow runs
behind `GuardedRunner`:

* At its first task, input of the wrong number, encoding, shape or size fails the workflow with VALIDATION_ERROR.
* Signals that their handler cannot take are dropped, with one line in the log. Updates are rejected.
* A workflow that has begun is never failed here, because it may hold something active. If this worker cannot read it,
  or has not the key to what it holds, it waits for another worker, with the sweeper as the safety net.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import PayloadConverter, StorageDriverStoreContext
from temporalio.exceptions import ApplicationError
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.workflow import Info

from clients.temporal.payload_keys import ENCODING, KEY_ID, KEYS
from domain.errors import ERRORS, ErrorCode, Problem, ValidationReport
from domain.executions.starting import Reading
from domain.kinds import kind_of_workflow
from domain.plans.validation.problems import problems_of
from domain.plans.validation.wording import cut, in_one_sentence
from workflows.execution.failures import application_error, refused_input

logger = logging.getLogger("holdfast.intake")

REFUSED = "refused input"
"""Patch marker in the history of a workflow whose input was refused.

A replay, for example for a query, must end in the same way.
"""

INPUT = "input"
"""Path of problems with the input."""

LARGEST_INPUT = 262_144
"""Most bytes of an input.

The largest input of a window names a thousand services twice, which is half as much.
"""

_MOST_PROBLEMS = 20
_JSON = "json/plain"


class GuardedRunner(WorkflowRunner):
    """Wraps another runner, and guards the input of its workflows."""

    def __init__(self, inner: WorkflowRunner) -> None:
        self._inner = inner

    def prepare_workflow(self, defn: Any) -> None:
        """Prepare the workflow in the inner runner."""
        self._inner.prepare_workflow(defn)

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """Pass the types on to the inner runner."""
        self._inner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Create an instance behind the guard."""
        return _Guarded(self._inner.create_instance(det), det)


class _Guarded(WorkflowInstance):
    def __init__(self, inner: WorkflowInstance, details: WorkflowInstanceDetails) -> None:
        self._inner = inner
        self._details = details
        self._converter = details.payload_converter_factory()
        self._refused = False

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Pass on only the jobs that the workflow can read."""
        for job in act.jobs:
            if job.HasField("initialize_workflow"):
                problems = self._input_problems(act, job.initialize_workflow.arguments)
                if problems:
                    return self._refuse(problems)
        if self._refused:
            return self._answer_refused(act)
        if key := _missing_key(act):
            return _not_here(key, self._details.info)
        return self._activate_fit_jobs(act)

    def _input_problems(self, act: WorkflowActivation, arguments: Sequence[Payload]) -> list[Problem]:
        """Return the problems that end this workflow before it begins.

        There are none once it has begun.
        """
        if act.is_replaying:
            # A replay repeats the recorded decision. The marker shows that the input was refused.
            marked = any(job.notify_has_patch.patch_id == REFUSED for job in act.jobs)
            return [Problem(path=INPUT, message="was refused")] if marked else []
        return unfit_input(self._details.defn.run_fn, self._details.defn.arg_types, arguments, self._converter)

    def _refuse(self, problems: list[Problem]) -> WorkflowActivationCompletion:
        self._refused = True
        info = self._details.info
        error = refusal(info.workflow_type, problems)
        logger.warning("%s %s is refused: %s", info.workflow_type, cut(info.workflow_id), error.message)
        completion = WorkflowActivationCompletion()
        completion.successful.commands.add().set_patch_marker.patch_id = REFUSED
        failure = completion.successful.commands.add().fail_workflow_execution.failure
        self._details.failure_converter_class().to_failure(error, self._converter, failure)
        return completion

    def _answer_refused(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Answer the jobs of a refused workflow: every query fails."""
        completion = WorkflowActivationCompletion()
        completion.successful.SetInParent()
        for job in act.jobs:
            if job.HasField("query_workflow"):
                answer = completion.successful.commands.add().respond_to_query
                answer.query_id = job.query_workflow.query_id
                answer.failed.message = "its input was refused: nothing was begun"
        return completion

    def _activate_fit_jobs(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        verdicts = [(job, self._why_unfit(job)) for job in act.jobs]
        if not any(problem for _, problem in verdicts):
            return self._inner.activate(act)
        let_through = WorkflowActivation()
        let_through.CopyFrom(act)
        del let_through.jobs[:]
        let_through.jobs.extend(job for job, problem in verdicts if not problem)
        completion = self._inner.activate(let_through)
        for job, problem in verdicts:
            if problem:
                self._answer(job, problem, completion, silent=act.is_replaying)
        return completion

    def _why_unfit(self, job: WorkflowActivationJob) -> str:
        """Return why a signal's or update's handler cannot take it, or nothing.

        Also nothing if there is no handler.
        """
        # Decided only by what the history contains, so that every replay drops the same jobs.
        handler: Any = None
        if job.HasField("signal_workflow"):
            handler = self._details.defn.signals.get(job.signal_workflow.signal_name)
            payloads: Sequence[Payload] = job.signal_workflow.input
        elif job.HasField("do_update") and job.do_update.run_validator:
            handler = self._details.defn.updates.get(job.do_update.name)
            payloads = job.do_update.input
        if handler is None:
            return ""
        return unfit_arguments(handler.fn, handler.arg_types, payloads, self._converter)

    def _answer(
        self, job: WorkflowActivationJob, problem: str, completion: WorkflowActivationCompletion, *, silent: bool
    ) -> None:
        """Log the dropped job; if it is an update, also reject it."""
        info = self._details.info
        name = job.signal_workflow.signal_name or job.do_update.name
        if not silent:
            logger.warning("%s %s: %s is dropped: it %s", info.workflow_type, cut(info.workflow_id), cut(name), problem)
        if job.HasField("do_update") and not completion.HasField("failed"):
            answer = completion.successful.commands.add().update_response
            answer.protocol_instance_id = job.do_update.protocol_instance_id
            error = ApplicationError(f"{cut(name)} {problem}", type=ErrorCode.VALIDATION_ERROR, non_retryable=True)
            self._details.failure_converter_class().to_failure(error, self._converter, answer.rejected)

    def get_serialization_context(self, command_info: Any) -> Any:
        """Return the inner instance's answer."""
        return self._inner.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> StorageDriverStoreContext:
        """Return the inner instance's answer."""
        return self._inner.get_external_store_context(command_info)

    def get_info(self) -> Info:
        """Return the inner instance's answer."""
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        """Return the inner instance's answer."""
        return self._inner.get_thread_id()


def _missing_key(act: WorkflowActivation) -> str | None:
    """Return the key of an input or a result that this worker cannot decrypt. None: there is no such thing."""
    for job in act.jobs:
        payloads: Sequence[Payload] = ()
        if job.HasField("initialize_workflow"):
            payloads = job.initialize_workflow.arguments
        elif job.HasField("resolve_activity"):
            payloads = [job.resolve_activity.result.completed.result]
        elif job.HasField("resolve_child_workflow_execution"):
            payloads = [job.resolve_child_workflow_execution.result.completed.result]
        for payload in payloads:
            if payload.metadata.get("encoding") == ENCODING:
                return payload.metadata.get(KEY_ID, b"").decode(errors="replace")
    return None


def _not_here(key: str, info: Info) -> WorkflowActivationCompletion:
    """Leave a task to another worker.

    A signal never comes here: anybody could keep a window from closing with one.
    """
    message = f"this worker cannot decrypt what the key '{cut(key)}' has encrypted ({KEYS})"
    logger.error("%s %s waits for another worker: %s", info.workflow_type, cut(info.workflow_id), message)
    completion = WorkflowActivationCompletion()
    completion.failed.failure.message = message
    return completion


def refusal(workflow_type: str, problems: list[Problem]) -> ApplicationError:
    """Return the error that a workflow with invalid input ends with."""
    # An execution's failure carries more, because people read it.
    execution = kind_of_workflow(workflow_type)
    if execution is not None:
        return application_error(refused_input(problems, execution.state().step))
    kind = ERRORS[ErrorCode.VALIDATION_ERROR]
    return ApplicationError(
        f"{kind.error_class} {in_one_sentence(problems)}",
        ValidationReport(problems=problems),
        type=ErrorCode.VALIDATION_ERROR,
        non_retryable=True,
    )


def unfit_input(
    run: Callable[..., Any], hints: Sequence[Any] | None, payloads: Sequence[Payload], converter: PayloadConverter
) -> list[Problem]:
    """Return every problem with the input of a workflow about to begin."""
    wrong = _why_wrong_count(run, len(payloads))
    if wrong:
        return [Problem(path=INPUT, message=wrong)]
    problems: list[Problem] = []
    for number, payload in enumerate(payloads):
        hint = hints[number] if hints is not None and number < len(hints) else Any
        problems += _unfit_value(hint, payload, converter)
    return problems[:_MOST_PROBLEMS]


def unfit_arguments(
    handler: Callable[..., Any], hints: Sequence[Any] | None, payloads: Sequence[Payload], converter: PayloadConverter
) -> str:
    """Return why a handler cannot take these arguments, or nothing.

    The text continues a sentence that begins with the handler's name.
    """
    wrong = _why_wrong_count(handler, len(payloads))
    if wrong:
        return wrong
    try:
        # The SDK decodes them again later. What it cannot decode, it drops with a stack trace.
        converter.from_payloads(payloads, list(hints) if hints and len(hints) == len(payloads) else None)
    except Exception as error:
        return f"cannot be decoded: {type(error).__name__}"
    return ""


def _why_wrong_count(function: Callable[..., Any], given: int) -> str:
    """Return why the number of arguments, without `self`, is wrong, or nothing."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    named = [parameter for parameter in parameters if parameter.kind is not inspect.Parameter.VAR_POSITIONAL]
    least = sum(parameter.default is inspect.Parameter.empty for parameter in named)
    most = len(named) if len(named) == len(parameters) else max(given, least)
    if least <= given <= most:
        return ""
    wanted = "no value" if most == 0 else "one value" if least == most == 1 else f"{least} to {most} values"
    return f"takes {wanted}, not {given}"


def _unfit_value(hint: Any, payload: Payload, converter: PayloadConverter) -> list[Problem]:
    if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
        try:
            converter.from_payload(payload, hint)
        except Exception as error:
            return [Problem(path=INPUT, message=f"cannot be decoded: {type(error).__name__}")]
        return []
    encoding = payload.metadata.get("encoding", b"").decode(errors="replace")
    if encoding != _JSON:
        return [Problem(path=INPUT, message=f"must be one JSON object, not {_given(encoding, payload)}")]
    if len(payload.data) > LARGEST_INPUT:
        return [Problem(path=INPUT, message=f"has {len(payload.data)} bytes; at most {LARGEST_INPUT} are read")]
    try:
        hint.model_validate_json(payload.data, context=Reading.AT_START)
    except ValidationError as error:
        return [_with_input_path(problem) for problem in problems_of(error, _document(payload.data), hint)]
    return []


def _given(encoding: str, payload: Payload) -> str:
    if encoding == ENCODING.decode():
        key = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        return f"encrypted: this worker cannot decrypt what the key '{cut(key)}' has encrypted ({KEYS})"
    return "nothing" if encoding == "binary/null" else f"of the encoding '{cut(encoding)}'"


def _document(data: bytes) -> Any:
    try:
        return from_json(data)
    except ValueError:
        return None


def _with_input_path(problem: Problem) -> Problem:
    path = f"{INPUT}.{problem.path}" if problem.path else INPUT
    return problem.model_copy(update={"path": path})
