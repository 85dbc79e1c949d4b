"""What a run of a plan would do, from the plan alone: made of the functions by which the run itself decides."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

from workflows.contracts.guardrails import FAULTS_OF_A_PAIR
from workflows.contracts.load import CaseRange, CaseType
from workflows.contracts.plan import Plan
from workflows.contracts.preview import (
    CasesPreview,
    DiscoveryPreview,
    EntryRequests,
    FaultPreview,
    LeftOut,
    Preview,
    RulesPreview,
)
from workflows.contracts.timing import Timing
from workflows.contracts.windows import MOST_ROUNDS, RECORDINGS
from workflows.logic.capture import build_rules
from workflows.logic.cases import BATCH_SIZE, batches_in, case_count, cases_in, pages_of, pair_count
from workflows.logic.durations import (
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
from workflows.logic.environments import environment_in
from workflows.logic.exclusions import PlanExclusions
from workflows.logic.faults import expand
from workflows.logic.fidelity import MOST_PAIRS
from workflows.logic.load_limits import groups_and_controls
from workflows.logic.preview_times import remains_on, stages, worst_recovery
from workflows.logic.preview_workloads import STEPS
from workflows.logic.tokens import token_of

MOST_LEFT_OUT = 100
"""Excluded cases that are named; all of them are counted."""

ASSUMED = timedelta(milliseconds=100)
"""What a request is assumed to take, where nobody says otherwise."""

_REFERENCE = re.compile(r"\$\{[^}]*\}")


def preview(plan: Plan, timing: Timing, assumed: timedelta = ASSUMED, faults_allowed: int = 1) -> Preview:
    """Everything that a run of this plan does to the system, in numbers; `faults_allowed` at once, by the worker.

    What only the recording can tell, as the number of requests that a service receives, is given as the least.
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
        workload_steps=STEPS,
        assumed_request_seconds=assumed.total_seconds(),
        deadline_seconds=plan.stop.deadline.total_seconds() if plan.stop.deadline else None,
        stages=stages(plan, timing, cases.measured + controls, assumed, found),
        remains_on=on,
        worst_recovery_seconds=worst_recovery(on, timing),
        worst_failing_seconds=worst_recovery([one for one in on if one.kind not in RECORDINGS], timing),
    )


def _cases(plan: Plan) -> CasesPreview:
    everything = CaseRange(first=0, end=case_count(len(plan.services)))
    on_purpose = PlanExclusions(plan)
    kinds: Counter[CaseType] = Counter()
    excluded, left_out = 0, []
    for case in cases_in(plan.service_names, everything):
        kinds[case.case_type] += 1
        reason = on_purpose.reason(case)
        if reason is None:
            continue
        excluded += 1
        if excluded <= MOST_LEFT_OUT:
            left_out.append(LeftOut(case_id=case.case_id, reason=reason))
    return CasesPreview(
        baseline=kinds[CaseType.BASELINE],
        single=kinds[CaseType.SINGLE],
        dual=kinds[CaseType.DUAL],
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
    services, two = len(plan.services), faults_allowed >= FAULTS_OF_A_PAIR
    pairs = pair_count(services) if two else 0
    return DiscoveryPreview(
        requests_each=single_requests(plan),
        rounds=MOST_ROUNDS,
        more_faults=min(services, most_captures(services)) * (MOST_ROUNDS - 1),
        two_faults=two,
        pairs_calling=min(pairs, MOST_DISCOVERY_PAIRS),
        pairs_in_doubt=min(pairs, MOST_PAIRS),
        requests_each_pair=pair_requests(plan) if two else 0,
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
    """The address without query and fragment, and without what references stand for: either may be a secret."""
    return _REFERENCE.sub("***", re.split(r"[?#]", url, maxsplit=1)[0])
