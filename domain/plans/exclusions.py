"""Cases that a plan excludes, and the rules for naming them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from domain.cases.cases import BASELINE_ID, case_id
from domain.errors import Problem
from domain.measuring.load import Case, CaseType
from domain.plans.plan import Plan
from domain.plans.validation.wording import MOST_COMPARED, Nearest, cut, did_you_mean, shown

ANY = "*"
ON_PURPOSE = "excluded by the plan"
"""Start of the reason shown for an excluded case."""
_OTHER_SIGNS = re.compile(r"[,;&/|\s]")
"""Characters other than `+` that people join two names with."""


class PlanExclusions:
    """The cases that a plan excludes."""

    def __init__(self, plan: Plan) -> None:
        self._reasons = {normal_form(exclusion.case): exclusion.reason for exclusion in plan.exclude}

    def __bool__(self) -> bool:
        """Return whether the plan excludes any case."""
        return bool(self._reasons)

    def reason(self, case: Case) -> str | None:
        """Return why the plan excludes a case; None if it does not."""
        if not self._reasons:
            return None
        found = next((self._reasons[form] for form in case_forms(case) if form in self._reasons), None)
        return None if found is None else ON_PURPOSE + (f": {found}" if found else "")


class Dispensable:
    """The cases that may end without a result, by `coverage.may_lack`."""

    def __init__(self, plan: Plan) -> None:
        self._named = {normal_form(name) for name in plan.coverage.may_lack}

    def __contains__(self, case: Case) -> bool:
        """Return whether the plan accepts this case unmeasured."""
        return any(form in self._named for form in case_forms(case))


def case_forms(case: Case) -> list[str]:
    """Return the forms that can name a case, most specific first.

    The baseline has none, because a plan cannot name it.
    """
    if len(case.services) == 2:
        first, second = case.services
        return [case.case_id, normal_form(f"{first}+*"), normal_form(f"{second}+*"), f"{ANY}+{ANY}"]
    return [case.case_id] if case.services else []


def needless(plan: Plan, unusable: Collection[str]) -> dict[str, str]:
    """Return the services that need no fault, each with the reason.

    Every case of such a service is excluded by the plan, or includes a service that cannot be measured. Breaking it
    would serve no purpose.
    """
    on_purpose = PlanExclusions(plan)
    if not on_purpose:
        return {}
    usable = [name for name in plan.service_names if name not in unusable]
    return {name: _NEEDLESS for name in usable if not _is_needed(name, usable, on_purpose)}


_NEEDLESS = "not broken: every case of it is excluded by the plan or has a service that cannot be measured"


def _is_needed(name: str, usable: Iterable[str], on_purpose: PlanExclusions) -> bool:
    single = Case(index=0, case_id=name, case_type=CaseType.SINGLE, services=[name])
    if on_purpose.reason(single) is None:
        return True
    pairs = (sorted((name, partner)) for partner in usable if partner != name)
    return any(
        on_purpose.reason(Case(index=0, case_id=case_id(pair), case_type=CaseType.DUAL, services=pair)) is None
        for pair in pairs
    )


def normal_form(case: str) -> str:
    """Return a case as plans name it, its services in order."""
    return case_id(case.split("+"))


def exclusion_rules(document: dict[Any, Any]) -> Iterator[Problem]:
    """Report wrong entries in `exclude` and `coverage.may_lack`.

    Also report services that would be broken for nothing.
    """
    services = document.get("services")
    coverage = document.get("coverage")
    if not isinstance(services, list):
        return
    names = _names(services)
    excluded: set[str] = set()
    yield from _listed("exclude", document.get("exclude"), names, excluded)
    if isinstance(coverage, dict):
        yield from _listed("coverage.may_lack", coverage.get("may_lack"), names, set())
    yield from _nothing_left(excluded, names)


def listed_cases(place: str, listed: object, document: dict[Any, Any], field: str) -> Iterator[Problem]:
    """Report wrong cases named in a list of mappings.

    `field` is the field of each mapping that names a case.
    """
    services = document.get("services")
    if isinstance(services, list):
        yield from _listed(place, listed, _names(services), set(), field)


def _names(services: list[Any]) -> list[str]:
    return [
        service["name"] for service in services if isinstance(service, dict) and isinstance(service.get("name"), str)
    ]


def _listed(place: str, listed: object, names: list[str], forms: set[str], field: str = "case") -> Iterator[Problem]:
    """Report wrong cases in a list, and add its forms to `forms`."""
    seen: dict[str, int] = {}
    nearest = Nearest(names)
    for position, entry in enumerate(listed if isinstance(listed, list) else []):
        case = entry.get(field) if isinstance(entry, dict) else entry
        if not isinstance(case, str):
            continue
        path = f"{place}[{position}]" + (f".{field}" if isinstance(entry, dict) else "")
        problems = list(_unknown(path, case, names, nearest))
        yield from problems
        earlier = seen.setdefault(normal_form(case), position)
        if not problems and earlier != position:
            done = "excluded" if place == "exclude" else "named"
            yield Problem(path=path, message=f"{shown(case)} is already {done}", hint=f"see {place}[{earlier}]")
    forms |= set(seen)


def _unknown(path: str, case: str, names: list[str], nearest: Nearest) -> Iterator[Problem]:
    parts = case.split("+")
    if case == BASELINE_ID:
        message = "the baseline is always measured, because everything else is compared with it"
        yield Problem(path=path, message=message, hint="leave it out")
    elif _OTHER_SIGNS.search(case):
        yield Problem(path=path, message=f"{shown(case)} is not a case", hint="a pair is written cart+payment")
    elif len(parts) > 2 or case == ANY or "" in parts:
        hint = "write cart, cart+payment, cart+* for all pairs with cart, or *+* for all pairs"
        yield Problem(path=path, message=f"{shown(case)} is not a case", hint=hint)
    elif len(parts) == 2 and parts[0] == parts[1] != ANY:
        message = f"{shown(case)} is not a case: a pair has two different services"
        yield Problem(path=path, message=message, hint=f"write {cut(parts[0])} for the service alone")
    else:
        for name in parts:
            if name != ANY and name not in names:
                found = nearest.of(name)
                hint = did_you_mean(found) if found else "name cases of the services under test"
                yield Problem(path=path, message=f"{shown(name)} is not among the services under test", hint=hint)


def _nothing_left(excluded: set[str], names: list[str]) -> Iterator[Problem]:
    """Report each service without a case: its failure would never be used."""
    distinct = sorted(set(names))
    if len(distinct) > MOST_COMPARED or not excluded:
        return
    wildcards = {name for name in distinct if normal_form(f"{name}+*") in excluded}
    partners: defaultdict[str, set[str]] = defaultdict(set)
    for form in excluded:
        first, _, second = form.partition("+")
        partners[first].add(second)
        partners[second].add(first)
    for name in distinct:
        others = set(distinct) - {name}
        all_pairs = "*+*" in excluded or name in wildcards or others <= wildcards | partners[name]
        if name in excluded and all_pairs:
            position = names.index(name)
            yield Problem(
                path=f"services[{position}]",
                message=f"no case of {shown(name)} is left: it would be broken for nothing",
                hint="leave it out of services, or exclude less",
            )
