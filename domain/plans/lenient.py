"""Lenient reading of stored plans, for closing and reporting.

Everything legible is used, and the rest is replaced by something harmless. A plan of an earlier version, or a damaged
one, must not prevent anything from being switched off. Starting a run reads plans strictly.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from domain.base import Contract
from domain.plans.plan import Plan, ServiceUnderTest, SteadyState
from domain.plans.request import Request
from domain.plans.slo import Slo
from domain.plans.system import System

UNREADABLE_ADDRESS = "http://unreadable.invalid"
"""Replaces an address that the stored plan does not have. This name never resolves (RFC 2606)."""

_ADDRESS = re.compile(r"https?://[^\s/?#]+")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
M = TypeVar("M", bound=BaseModel)

_SHOWN = 200
_MOST_NAMED = 5


class LenientPlan(Contract):
    """A stored plan, as far as it can be read."""

    plan: Plan
    trouble: str = ""
    """What this version cannot read of the plan. Empty if the plan is whole."""


def read_leniently(text: str, *, name: str, namespace: str) -> LenientPlan:
    """Read a stored plan. Never raises.

    `name` and `namespace` come from the plan's row. They are used if the plan is not whole: the name always, the
    namespace if the plan has no legible one.
    """
    try:
        return LenientPlan.model_construct(plan=Plan.model_validate_json(text), trouble="")
    except ValidationError as error:
        trouble = _summary(error)
    except Exception as error:
        trouble = type(error).__name__
    return LenientPlan.model_construct(plan=_salvaged(_document(text), name, namespace), trouble=trouble)


def _summary(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [
        f"{'.'.join(str(part) for part in detail['loc']) or 'plan'}: {detail['msg']}"
        for detail in details[:_MOST_NAMED]
    ]
    more = [f"and {len(details) - _MOST_NAMED} more"] if len(details) > _MOST_NAMED else []
    return "; ".join([*(line[:_SHOWN] for line in lines), *more])


def _document(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _salvaged(raw: dict[str, Any], name: str, namespace: str) -> Plan:
    request = _legible(Request, raw.get("request"))
    # Without a request, skip the steady state: the stand-in request must never be sent.
    steady = {} if request is not None else {"steady_state": SteadyState(check=False)}
    facts: dict[str, Any] = {
        "name": name,
        "system": _system(raw.get("system"), namespace),
        "services": _services(raw),
        "request": request or Request(url=UNREADABLE_ADDRESS),
        "slo": _legible(Slo, raw.get("slo")) or Slo(),
    }
    return Plan.model_construct(**(_legible_fields(Plan, raw, besides={*facts, "holdfast"}) | facts | steady))


def _system(raw: Any, namespace: str) -> System:
    raw = raw if isinstance(raw, dict) else {}
    own = raw.get("namespace")
    services = raw.get("services")
    facts: dict[str, Any] = {
        "namespace": own if isinstance(own, str) and _NAME.fullmatch(own) else namespace,
        "proxy": _address(raw.get("proxy")),
        "faults": _address(raw.get("faults")),
        # Omit a service without an address: closing would ask the stand-in, which never confirms that all is off.
        "services": {key: value for key, value in _named(services).items() if _is_address(value)},
    }
    return System.model_construct(**(_legible_fields(System, raw, besides=set(facts)) | facts))


def _services(raw: dict[str, Any]) -> list[ServiceUnderTest]:
    listed = raw.get("services")
    found: dict[str, ServiceUnderTest] = {}
    for service in listed if isinstance(listed, list) else []:
        name = service.get("name") if isinstance(service, dict) else None
        if isinstance(name, str) and _NAME.fullmatch(name):
            found[name] = _legible(ServiceUnderTest, service) or ServiceUnderTest(name=name, fault="remove")
    system = raw.get("system")
    addresses = system.get("services") if isinstance(system, dict) else None
    # Without a legible list, any service of the system may have been under test: closing checks them all.
    return list(found.values()) or [ServiceUnderTest(name=name, fault="remove") for name in _named(addresses)]


def _named(raw: Any) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if _NAME.fullmatch(str(key))} if isinstance(raw, dict) else {}


def _address(raw: Any) -> str:
    return raw if _is_address(raw) else UNREADABLE_ADDRESS


def _is_address(raw: Any) -> bool:
    return isinstance(raw, str) and _ADDRESS.match(raw) is not None


def _legible(model: type[M], raw: Any) -> M | None:
    try:
        return model.model_validate(raw)
    except (ValidationError, RecursionError):
        return None


def _legible_fields(model: type[BaseModel], raw: dict[str, Any], *, besides: set[str]) -> dict[str, Any]:
    """Return the fields that can be read, each by itself.

    The others keep their defaults.
    """
    found = {}
    for name in model.model_fields.keys() - besides:
        if name in raw:
            try:
                found[name] = _reader(model, name).validate_python(raw[name])
            except (ValidationError, RecursionError):
                continue
    return found


@cache
def _reader(model: type[BaseModel], name: str) -> TypeAdapter[Any]:
    reader: TypeAdapter[Any] = TypeAdapter(Annotated[model.model_fields[name].annotation, model.model_fields[name]])  # type: ignore[arg-type]
    return reader
