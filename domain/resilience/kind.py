"""Resilience tests as a kind of execution."""

from __future__ import annotations

from typing import Any

from domain.cases.cases import case_count
from domain.executions.execution import Leftovers, RunStatus, final_step
from domain.executions.kinds import Kind
from domain.executions.start_options import StartOptions
from domain.guardrails.check import MAX_ACTIVE_FAULTS
from domain.names import WorkflowType
from domain.plans.durations import most_at_once
from domain.plans.environments import environment_in
from domain.plans.plan import Plan
from domain.plans.validation.validate import check_plan
from domain.resilience.ended import off, over
from domain.resilience.model import RESILIENCE_TEST, Phase, ResilienceSummary
from domain.resilience.state import ResilienceState
from domain.resilience.web_ui_details import plan_details
from domain.units import format_percent


def numbers_of(plan: Plan) -> dict[str, Any]:
    """Return what a plan amounts to, as JSON facts.

    `requests` is the most that the cases may send.
    """
    cases = case_count(len(plan.services))
    return {
        "plan": plan.name,
        "namespace": plan.system.namespace,
        "environment": environment_in(plan),
        "services": len(plan.services),
        "cases": cases,
        "requests": cases * plan.load.most_requests,
    }


def _summarised(plan: Plan) -> str:
    numbers = numbers_of(plan)
    up_to = "up to " if plan.load.max_requests is not None else ""
    counted = f"{numbers['services']} services, {numbers['cases']} cases, {up_to}{numbers['requests']} requests"
    return f"plan {plan.name}: {counted}, namespace {plan.system.namespace} of {numbers['environment']}"


def _warning(plan: Plan) -> str:
    most = most_at_once(plan)
    pace = "one at a time" if most == 1 else f"up to {most} at once"
    warning = f"This really breaks {', '.join(plan.service_names)} in {plan.system.namespace}, {pace}."
    if len(plan.services) > 1:
        warning += f" Where the worker allows two faults at once ({MAX_ACTIVE_FAULTS}), it may break pairs as well."
    return warning


def _as_input(document: object, options: StartOptions, requested_by: str) -> dict[str, Any]:
    found = {"plan": document, "if_busy": options.if_busy.value, "requested_by": requested_by}
    # Fields that are not asked for are left out, because an older worker may not know them.
    if options.leftovers is not Leftovers.REFUSE:
        found["leftovers"] = options.leftovers.value
    if options.verify_pairs is not None:
        found["verify_pairs"] = format_percent(options.verify_pairs)
    return found


def _over(state: ResilienceState, status: RunStatus, message: str) -> dict[str, Any]:
    return over(state, status, message) | {"phase": Phase(final_step(status)), "eta_seconds": None}


KIND = Kind(
    name=RESILIENCE_TEST,
    workflow_type=WorkflowType.RESILIENCE_TEST,
    state=ResilienceState,
    summary=ResilienceSummary,
    recognises=lambda document: "system" in document and "services" in document,
    check=check_plan,
    as_input=_as_input,
    summarised=_summarised,
    described=plan_details,
    warning=_warning,
    over=_over,
    off=off,
)
