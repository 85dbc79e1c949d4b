"""The example's plan can be pointed at a lab on other ports."""

from __future__ import annotations

import copy

from cli.demo.lab_addresses import with_lab_addresses
from domain.plans.validation.validate import check_plan
from lab import LabAddresses
from tests.support.cli.terminal import plan_document

SERVICES = ("storefront", "recommendations", "bestsellers", "reviews", "shipping", "inventory")
LAB = LabAddresses(
    namespace="shop",
    proxy="http://127.0.0.1:5000",
    faults="http://127.0.0.1:5001",
    admin="http://127.0.0.1:5002",
    services={name: f"http://127.0.0.1:{6000 + number}" for number, name in enumerate(SERVICES)},
    entry="http://127.0.0.1:6000",
    entry_service="storefront",
)


def test_every_address_is_the_labs_and_nothing_else_changes() -> None:
    """Proxy, fault service, services and the request's origin change. Paths, queries and everything else stay."""
    document = plan_document("shop")
    document["request"]["url"] += "?user=42"
    before = copy.deepcopy(document)
    pointed = with_lab_addresses(document, LAB)
    assert document == before
    assert pointed["request"]["url"] == "http://127.0.0.1:6000/api/home?user=42"
    assert pointed["system"]["proxy"] == LAB.proxy
    assert pointed["system"]["faults"] == LAB.faults
    assert pointed["system"]["services"] == LAB.services
    for document in (before, pointed):
        for name in ("proxy", "faults", "services"):
            del document["system"][name]
        del document["request"]["url"]
    assert pointed == before


def test_the_pointed_plan_is_valid() -> None:
    """It passes the same validation as any other plan."""
    plan, problems = check_plan(with_lab_addresses(plan_document("shop"), LAB))
    assert problems == []
    assert plan is not None


def test_a_port_that_is_the_beginning_of_a_longer_port_is_kept() -> None:
    """Origins are compared whole: port 1808 is not port 18080."""
    document = plan_document("shop")
    document["request"]["url"] = "http://127.0.0.1:1808/api/home"
    assert with_lab_addresses(document, LAB)["request"]["url"] == "http://127.0.0.1:1808/api/home"


def test_a_request_to_another_service_stays_with_that_service() -> None:
    """The plan decides which service is the entry, not the lab."""
    document = plan_document("shop")
    document["request"]["url"] = "http://127.0.0.1:18083/api/reviews?limit=3"
    assert with_lab_addresses(document, LAB)["request"]["url"] == "http://127.0.0.1:6003/api/reviews?limit=3"


def test_a_service_that_the_lab_lacks_keeps_its_address() -> None:
    """Validation reports a typo in a plan; here it must not become a KeyError."""
    document = plan_document("shop")
    document["system"]["services"]["reveiws"] = "http://127.0.0.1:1"
    assert with_lab_addresses(document, LAB)["system"]["services"]["reveiws"] == "http://127.0.0.1:1"
