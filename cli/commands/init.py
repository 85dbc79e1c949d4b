"""`holdfast init`: a first plan for your system or a lab."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import yaml
from pydantic import ValidationError

from cli.console import clear_errors, complain, say, say_json, write_file
from cli.demo.lab_addresses import origin_of
from cli.options import AS_JSON
from cli.plan_template import placeholders, plan_template
from clients.http.control import LARGEST_ANSWER
from clients.http.reader import Limits, NoAnswerError, fetch
from clients.plans.yaml12 import PlanLoader
from domain.errors import ErrorCode, HoldfastError
from domain.plans.plan import PLAN_VERSION
from domain.plans.validation.problems import PLACEHOLDER
from domain.plans.validation.request_rules import HARMLESS
from domain.plans.validation.validate import check_plan
from domain.plans.validation.wording import near
from lab import LabAddresses

LAB_PATIENCE = 10.0
"""Seconds for the lab to answer with its addresses."""


@click.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the plan to this file.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.option("--lab", "admin", metavar="URL", help="Take all addresses from the running lab with this admin address.")
@click.option("--name", help="Name of the plan and its runs; default: the namespace.")
@click.option("--namespace", help="The Kubernetes namespace under test.")
@click.option("--proxy", metavar="URL", help="The traffic proxy.")
@click.option("--fault-service", metavar="URL", help="The fault service.")
@click.option("--url", help="The request whose resilience is tested.")
@click.option("--service", "services", metavar="NAME=URL", multiple=True, help="A service and its address; repeatable.")
@click.option("--fault", "faults", metavar="NAME=FAULT", multiple=True,
              help="How this service fails, as a plan writes it (remove, error, '{delay: 3s}'); repeatable. "
                   "Default: remove, for every service but the one that the request goes to.")  # fmt: skip
@AS_JSON
@clear_errors
def init(
    *,
    output: Path | None,
    overwrite: bool,
    admin: str | None,
    as_json: bool,
    services: tuple[str, ...],
    faults: tuple[str, ...],
    **given: str | None,
) -> None:
    """Write a first plan, with every setting in it explained.

    Required values that you do not give stay placeholders, and `holdfast validate` lists them. The system under test is
    not contacted. With --lab, a running lab is asked for its addresses.
    """
    known = _of_lab(admin) if admin else {}
    known |= {what: value for what, value in given.items() if value}
    addresses = known.get("services", {}) | _pairs("--service", services)
    document = plan_of(known, addresses, {name: _fault(text) for name, text in _pairs("--fault", faults).items()})
    text = plan_template(document)
    if output is not None:
        write_file(output, text, overwrite=overwrite, hint="--overwrite replaces it")
    open_places = placeholders(document)
    valid = check_plan(document)[0] is not None
    if as_json:
        facts = {"file": str(output) if output else None, "valid": valid, "placeholders": open_places}
        if output is None:
            facts["text"] = text
        say_json(facts)
        return
    if output is None:
        say(text, end="")
    else:
        say(f"written: {output}")
    # Standard output holds nothing but the plan.
    show = complain if output is None else say
    for line in _next(str(output or "PLAN"), open_places, valid=valid):
        show(line)


def _next(file: str, open_places: list[str], *, valid: bool) -> list[str]:
    if open_places:
        first = f"replace {PLACEHOLDER} in {', '.join(open_places)}; `holdfast validate {file}` shows what is left"
    elif not valid:
        first = f"`holdfast validate {file}` shows what to fix"
    else:
        first = f"`holdfast validate {file}` checks it"
    return [
        f"next: {first}",
        f"then: `holdfast preview {file}` shows what a run would do, `holdfast run {file}` does it",
    ]


def plan_of(known: dict[str, Any], addresses: dict[str, str], faults: dict[str, Any]) -> dict[str, Any]:
    """Return the plan's document: what is known, and placeholders for the rest.

    Raises:
        HoldfastError: VALIDATION_ERROR for a fault in a service without an address.
    """
    url = known.get("url", PLACEHOLDER)
    namespace = known.get("namespace", PLACEHOLDER)
    unknown = set(faults) - set(addresses)
    if addresses and unknown:
        name = min(unknown)
        found = near(name, addresses)
        hint = f"did you mean '{found}'?" if found else f"give its address as well: --service {name}=URL"
        raise HoldfastError(ErrorCode.VALIDATION_ERROR, f"--fault: there is no --service {name}", hint=hint)
    entry = known.get("entry") or next(
        (name for name, at in addresses.items() if origin_of(at) == origin_of(url)), None
    )
    chosen = faults or {name: "remove" for name in addresses if name != entry} or {PLACEHOLDER: "remove"}
    method = known.get("method", "GET")
    proxy = known.get("proxy", PLACEHOLDER)
    fault_service = known.get("fault_service", PLACEHOLDER)
    hosts = [_host(address) for address in (proxy, fault_service, *addresses.values(), url)]
    return {
        "holdfast": PLAN_VERSION,
        "name": known.get("name") or namespace,
        "system": {
            "namespace": namespace,
            "proxy": proxy,
            "faults": fault_service,
            "services": addresses or dict.fromkeys(chosen, PLACEHOLDER),
        },
        "request": {"method": method, "url": url} | ({} if method in HARMLESS else {"repeatable": True}),
        "services": [{"name": name, "fault": fault} for name, fault in chosen.items()],
        "slo": {"error_rate": "1%"},
        "safety": {"allowed_hosts": list(dict.fromkeys(host for host in hosts if host)) or ["127.0.0.1"]},
    }


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""  # Not an address: the validator reports it.


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            raise click.UsageError(f"{option} is written NAME=VALUE, not {text}")
        if name in found:
            raise click.UsageError(f"{option} {name} is given twice")
        found[name] = value
    return found


def _fault(text: str) -> Any:
    """Read a fault as plans write it. The validator judges it."""
    try:
        return yaml.load(text, Loader=PlanLoader)  # noqa: S506 - a loader of plain values
    except yaml.YAMLError as error:
        raise click.UsageError(
            f"--fault: {text} cannot be read: write it as a plan does, like '{{delay: 3s}}'"
        ) from error


def _of_lab(admin: str) -> dict[str, Any]:
    """Ask a running lab for everything it knows of itself."""
    url = admin.rstrip("/").removesuffix("/lab/state") + "/lab/addresses"
    hint = "`holdfast lab` starts one and shows its admin address"
    try:
        answer = asyncio.run(fetch("GET", url, Limits(seconds=LAB_PATIENCE, body=LARGEST_ANSWER)))
        if answer.status != HTTPStatus.OK:
            raise HoldfastError(
                ErrorCode.PEER_UNREACHABLE, f"no lab answers at {url}: status {answer.status}", hint=hint
            )
        found = LabAddresses.model_validate_json(answer.body)
    except NoAnswerError as error:
        message = f"no lab answers at {url}: {error.name}"
        raise HoldfastError(ErrorCode.PEER_UNREACHABLE, message, hint=hint) from error
    except ValidationError as error:
        raise HoldfastError(ErrorCode.PEER_GARBAGE, f"what answers at {url} is no lab", hint=hint) from error
    asked = found.entry_request
    return {
        "namespace": found.namespace,
        "proxy": found.proxy,
        "fault_service": found.faults,
        "services": found.services,
        "entry": found.entry_service,
        "url": found.entry + (asked.path if asked else "/"),
        "method": str(asked.method) if asked else "GET",
    }
