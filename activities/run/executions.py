"""The record of a run: its creation, phases, cases and end."""

from __future__ import annotations

import json
from collections.abc import Collection

from temporalio import activity

from activities.permit import caller, no_permit, writes, writes_itself
from activities.toolbox import Subject, Toolbox
from clients.store.read_models import LogLevel, StoredCase
from domain.cases.cases import case_count, cases_in
from domain.cases.tokens import overlapping, token_of
from domain.errors import ErrorCode, HoldfastError
from domain.executions.execution import Ending, Execution, ExecutionRecord, ExecutionRef, NewRecord, StepChange
from domain.faults.chaosblade.expansion import expand, faults_json
from domain.guardrails.check import outside, too_few_for_pairs
from domain.kinds import kind_named
from domain.measuring.load import Case, CaseRange, CaseType, GeneratedCases
from domain.names import SearchAttribute, WorkflowType
from domain.plans.canonical import compact
from domain.plans.environments import environment_of
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan
from domain.plans.validation.wording import in_one_sentence
from domain.resilience.model import RESILIENCE_TEST, NewExecution, PhaseChange
from domain.timing import Timing


class ExecutionActivities:
    """Writes the record of a run."""

    def __init__(self, tools: Toolbox, timing: Timing, *, search_attributes: Collection[str] = ()) -> None:
        """Take the worker's timing, and the search attributes of ours that the server has.

        A new run keeps this timing.
        """
        self._tools = tools
        self._timing = timing
        missing = sorted(set(SearchAttribute) - set(search_attributes))
        self._registered = {"search_attributes": bool(search_attributes), "missing_search_attributes": missing}

    @activity.defn(name="create_execution")
    @writes_itself
    async def create(self, new: NewExecution) -> Execution:
        """Store the plan and the run's record.

        Idempotent: a repetition for the same run id returns the same execution. Only a run may call it, for itself.

        Raises:
            HoldfastError: NO_PERMIT. VALIDATION_ERROR or OUTSIDE_GUARDRAILS, with every problem. SECRET_MISSING when
                the worker lacks a secret that the plan names.
        """
        # Every run does this first. So this is where a plan is checked against all rules and the worker's guardrails.
        _refuse_other_callers(new, WorkflowType.RESILIENCE_TEST)
        plan = _parse_plan(new.plan_json)
        self._refuse_outside_guardrails(plan, verify_pairs=new.verify_pairs)
        self._refuse_missing_secrets(plan)
        execution = await self._tools.store.executions.create(
            new, plan, self._timing, environment_of(plan, self._tools.rails.environments)
        )
        message = f"plan {plan.name}: {len(plan.services)} services, {case_count(len(plan.services))} cases"
        await self._tools.store.logs.add(execution.execution_id, "created", LogLevel.INFO, message)
        return execution.model_copy(update=self._registered)

    def _refuse_outside_guardrails(self, plan: Plan, *, verify_pairs: bool) -> None:
        problems = outside(plan, self._tools.rails) + (too_few_for_pairs(self._tools.rails) if verify_pairs else [])
        if problems:
            message = f"the worker does not allow this plan, {in_one_sentence(problems)}"
            raise HoldfastError(ErrorCode.OUTSIDE_GUARDRAILS, message, hint="nothing was touched", problems=problems)

    def _refuse_missing_secrets(self, plan: Plan) -> None:
        text = json.dumps(plan.request.model_dump(mode="json", by_alias=True))
        missing: dict[str, str] = {}
        for reference in self._tools.secrets.references(text):
            try:
                self._tools.secrets.resolve(reference)
            except HoldfastError as error:
                missing[error.message] = error.hint
        if missing:
            raise HoldfastError(
                ErrorCode.SECRET_MISSING, "; ".join(sorted(missing)), hint="; ".join(sorted(set(missing.values())))
            )

    @activity.defn(name="change_phase")
    @writes(WorkflowType.RESILIENCE_TEST, WorkflowType.RULES_WINDOW)
    async def change_phase(self, change: PhaseChange) -> None:
        """Move the record to a phase, and log that."""
        await self._tools.store.executions.change_phase(change)
        await self._tools.store.logs.add(
            change.execution_id, f"phase:{change.phase}", LogLevel.INFO, f"phase {change.phase}"
        )

    @activity.defn(name="create_record")
    @writes_itself
    async def create_record(self, new: NewRecord) -> ExecutionRecord:
        """Store the definition and the record of an execution whose definition is not a plan.

        Idempotent, as `create`. Only the execution's own workflow may call it, and only for its own kind.

        Raises:
            HoldfastError: NO_PERMIT. VALIDATION_ERROR, with every problem.
        """
        kind = kind_named(new.kind)
        if kind is None or kind.name == RESILIENCE_TEST:
            raise no_permit(f"{new.kind[:60]!r} is not a kind of execution with such a record")
        _refuse_other_callers(new, kind.workflow_type)
        document = _parse(new.definition_json, "definition")
        definition, problems = kind.check(document)
        if definition is None:
            message = f"the definition is not valid, {in_one_sentence(problems)}"
            raise HoldfastError(ErrorCode.VALIDATION_ERROR, message, hint="nothing was touched", problems=problems)
        # Written anew, so that a definition is the same one however its text is spaced.
        new = new.model_copy(update={"definition_json": compact(document)})
        record = await self._tools.store.executions.create_record(new, definition.name, self._timing)
        message = kind.summarised(definition)
        await self._tools.store.logs.add(record.execution_id, "created", LogLevel.INFO, message)
        return record.model_copy(update=self._registered)

    @activity.defn(name="change_step")
    @writes()
    async def change_step(self, change: StepChange) -> None:
        """Move the record of an execution without phases to a step, and log that."""
        await self._tools.store.executions.change_step(change)
        await self._tools.store.logs.add(
            change.execution_id, f"step:{change.step}", LogLevel.INFO, f"step {change.step}"
        )

    @activity.defn(name="finish_execution")
    @writes()
    async def finish(self, ending: Ending) -> None:
        """Write the end of a run that never held its lock."""
        level = LogLevel.ERROR if ending.error_code else LogLevel.INFO
        message = f"{ending.status}: {ending.error_message or ending.phase}"
        # The log first, as in `ended_runs.write_ending`.
        await self._tools.store.logs.add(ending.execution_id, "finished", level, message)
        await self._tools.store.executions.finish(ending)

    @activity.defn(name="generate_cases")
    @writes(WorkflowType.RESILIENCE_TEST)
    async def generate_cases(self, order: ExecutionRef) -> GeneratedCases:
        """Store every case of the plan, and one baggage token per service.

        Raises:
            HoldfastError: VALIDATION_ERROR when one token is part of another, because the proxy matches substrings.
        """
        subject = await self._tools.subject(order.execution_id)
        names = subject.plan.service_names
        experiments = _experiments(subject)
        tokens = {name: token_of(subject.plan, name) for name in names}
        for part, whole in overlapping(tokens.values()):
            raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"baggage token {part} is part of {whole}")
        total = case_count(len(names))
        await self._tools.store.cases.save(
            order.execution_id,
            (_stored(case, experiments) for case in cases_in(names, CaseRange(first=0, end=total))),
        )
        await self._tools.store.cases.save_tokens(order.execution_id, tokens)
        counts = await self._tools.store.cases.counts(order.execution_id)
        generated = GeneratedCases(
            baseline=counts.get(CaseType.BASELINE, 0),
            single=counts.get(CaseType.SINGLE, 0),
            dual=counts.get(CaseType.DUAL, 0),
            tokens=len(tokens),
        )
        message = f"{generated.total} cases and {generated.tokens} baggage tokens generated"
        await self._tools.store.logs.add(order.execution_id, "cases:generated", LogLevel.INFO, message)
        return generated


def _refuse_other_callers(new: NewExecution | NewRecord, workflow_type: str) -> None:
    """Refuse any caller but the run that the record is for."""
    asking = caller()
    if asking.workflow_type != workflow_type:
        raise no_permit(f"only a {workflow_type} may ask for it")
    if (new.workflow_id, new.run_id) != (asking.workflow_id, asking.run_id):
        raise no_permit(f"a run may create only its own record, not that of {new.workflow_id[:200]}")


def _parse_plan(plan_json: str) -> Plan:
    """Parse the plan and check it against all rules.

    Raises:
        HoldfastError: VALIDATION_ERROR with every problem.
    """
    plan, problems = check_plan(_parse(plan_json, "plan"))
    if plan is None:
        message = f"the plan is not valid, {in_one_sentence(problems)}"
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, message, hint="nothing was touched", problems=problems)
    return plan


def _parse(text: str, what: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HoldfastError(
            ErrorCode.VALIDATION_ERROR, f"the {what} is not JSON", hint="nothing was touched"
        ) from error


def _experiments(subject: Subject) -> dict[str, tuple[str, str]]:
    """Return each service's fault type and its entry in `faults_json`."""
    found = {}
    for service in subject.plan.services:
        fault = expand(service.fault, service.name, subject.namespace)
        found[service.name] = (fault.type, faults_json(service.name, subject.namespace, fault.experiment))
    return found


def _stored(case: Case, experiments: dict[str, tuple[str, str]]) -> StoredCase:
    faults = ",".join(experiments[service][1] for service in case.services)
    return StoredCase(**case.model_dump(), faults_json=f"[{faults}]")
