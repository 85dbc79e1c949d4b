"""Preview of a run, built from its plan alone.

Uses the same functions by which the run itself decides.
"""

from __future__ import annotations

import re
from datetime import timedelta

from domain.cases.cases import BATCH_SIZE, batches_in, case_count, cases_in, pages_of, pair_count
from domain.cases.tokens import token_of
from domain.executions.windows import MOST_ROUNDS, RECORDINGS
from domain.faults.capture import build_rules
from domain.faults.chaosblade.expansion import expand
from domain.guardrails.load_limits import groups_and_controls
from domain.guardrails.model import FAULTS_OF_A_PAIR
from domain.measuring.load import CaseRange
from domain.pairs.comparing import MOST_PAIRS
from domain.plans.durations import (
    ANALYSIS_SENDS,
    CALL_LOOKS,
    MOST_DISCOVERY_PAIRS,
    fault_ttl,
    most_at_once,
    most_captures,
    pair_requests,
    rules_ttl,
    single_requests,
)
from domain.plans.environments import environment_in
from domain.plans.exclusions import PlanExclusions
from domain.plans.plan import Plan
from domain.preview.model import (
    CasesPreview,
    DiscoveryPreview,
    EntryRequests,
    FaultPreview,
    LeftOut,
    Preview,
    RulesPreview,
)
from domain.preview.times import remains_on, stages, worst_recovery
from domain.preview.workloads import WORKLOAD_STEPS
from domain.timing import Timing

MOST_LEFT_OUT = 100
"""Excluded cases that are named, at most. All of them are counted."""

ASSUMED = timedelta(milliseconds=100)
"""Assumed time of a request unless the caller gives another."""

_REFERENCE = re.compile(r"\$\{[^}]*\}")


def preview(plan: Plan, timing: Timing, assumed: timedelta = ASSUMED, faults_allowed: int = 1) -> Preview:
    """Return in numbers what a run does to the system.

    `faults_allowed`: faults that the worker allows at once. What only the recording can show, such as the number of
    requests that a service receives, is given as its minimum.
    """
    cases = _cases(plan)
    groups, controls = groups_and_controls(plan)
    found = _discovery(plan, faults_allowed)
    on = remains_on(plan, timing, found)
    return Preview(
        plan=plan.name,
        namespace=plan.system.namespace,
        environment=environment_in(plan),
        method=plan.request.method,
        url=_shown(plan.request.url),
        login=_login(plan),
        timing=timing.preset,
        requests_per_case=plan.load.most_requests,
        cases=cases,
        requests=_requests(plan, cases.measured, groups, controls),
        replays=plan.service_names,
        faults=[_fault(plan, name) for name in plan.service_names],
        faults_at_once=most_at_once(plan),
        discovery=found,
        rules=_rules(plan),
        workload_steps=WORKLOAD_STEPS,
        assumed_request_seconds=assumed.total_seconds(),
        deadline_seconds=plan.stop.deadline.total_seconds() if plan.stop.deadline else None,
        stages=stages(plan, timing, cases.measured + controls, assumed, found),
        remains_on=on,
        worst_recovery_seconds=worst_recovery(on, timing),
        worst_failing_seconds=worst_recovery([item for item in on if item.kind not in RECORDINGS], timing),
    )


def _cases(plan: Plan) -> CasesPreview:
    services = len(plan.services)
    everything = CaseRange(first=0, end=case_count(services))
    on_purpose = PlanExclusions(plan)
    excluded, left_out = 0, []
    # A thousand services have half a million cases: they are looked at only if any of them is excluded.
    for case in cases_in(plan.service_names, everything) if on_purpose else ():
        reason = on_purpose.reason(case)
        if reason is None:
            continue
        excluded += 1
        if excluded <= MOST_LEFT_OUT:
            left_out.append(LeftOut(case_id=case.case_id, reason=reason))
    return CasesPreview(
        baseline=1,
        single=services,
        dual=pair_count(services),
        excluded=excluded,
        left_out=left_out,
        batch_size=BATCH_SIZE,
        batches=len(batches_in(everything, BATCH_SIZE)),
        pages=len(pages_of(everything.end, BATCH_SIZE, plan.load.batches_at_once)),
    )


def _requests(plan: Plan, measured: int, groups: int, controls: int) -> EntryRequests:
    steady = plan.steady_state.requests if plan.steady_state.check else 0
    watched = plan.stop.request.error_rate is not None
    return EntryRequests(
        steady_before=steady,
        analysis=1,
        analysis_at_most=ANALYSIS_SENDS,
        calls=1 + CALL_LOOKS,
        calls_in_all_rounds=1 + CALL_LOOKS * MOST_ROUNDS,
        broken=len(plan.services) * single_requests(plan),
        load=measured * plan.load.most_requests,
        control=controls * plan.load.most_requests,
        warm_up=groups * plan.warm_up,
        at_most=plan.load.max_requests is not None,
        steady_after=steady,
        steady_at_end=steady,
        watched_every_seconds=plan.stop.request.every.total_seconds() if watched else None,
    )


def _discovery(plan: Plan, faults_allowed: int) -> DiscoveryPreview:
    services = len(plan.services)
    pairs_allowed = faults_allowed >= FAULTS_OF_A_PAIR
    pairs = pair_count(services) if pairs_allowed else 0
    return DiscoveryPreview(
        requests_each=single_requests(plan),
        rounds=MOST_ROUNDS,
        # The first round has the services' own faults.
        more_faults=min(services, most_captures(services)) * (MOST_ROUNDS - 1),
        two_faults=pairs_allowed,
        pairs_calling=min(pairs, MOST_DISCOVERY_PAIRS),
        pairs_in_doubt=min(pairs, MOST_PAIRS),
        requests_each_pair=pair_requests(plan) if pairs_allowed else 0,
    )


def _fault(plan: Plan, name: str) -> FaultPreview:
    service = plan.service(name)
    fault = expand(service.fault, name, plan.system.namespace)
    return FaultPreview(
        service=name,
        type=fault.type,
        scope=fault.experiment.scope,
        target=fault.experiment.target,
        action=fault.experiment.action,
        matchers=fault.experiment.matchers,
        ttl_seconds=int(fault_ttl(plan).total_seconds()),
        token=token_of(plan, name),
        substitute_status=service.substitute_status,
    )


def _rules(plan: Plan) -> RulesPreview:
    first = plan.service_names[0]
    # Without captured answers only the canary is left.
    canaries = len(build_rules("", first, token_of(plan, first), []))
    return RulesPreview(
        services=len(plan.services),
        per_service_at_least=canaries + 1,
        ttl_seconds=int(rules_ttl(plan, case_count(len(plan.services))).total_seconds()),
    )


def _login(plan: Plan) -> str:
    login = plan.request.login
    return f"{login.method} {_shown(login.url)}" if login else ""


def _shown(url: str) -> str:
    """Strip query and fragment, and mask references: each may be a secret."""
    return _REFERENCE.sub("***", re.split(r"[?#]", url, maxsplit=1)[0])
