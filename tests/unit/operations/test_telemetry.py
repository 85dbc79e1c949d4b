"""Where a worker serves its metrics: this machine alone, unless configured otherwise."""

from __future__ import annotations

import socket

import pytest

from clients.telemetry.listening import HEALTH, METRICS, listen_address, next_addresses
from domain.errors import ErrorCode, HoldfastError
from operations.processes.telemetry import set_up_telemetry


@pytest.mark.parametrize(
    ("given", "address"),
    [("", ""), ("9464", "127.0.0.1:9464"), ("0.0.0.0:9464", "0.0.0.0:9464"), ("[::1]:9464", "[::1]:9464")],
)
def test_a_port_alone_is_one_of_this_machine(given: str, address: str) -> None:
    assert listen_address({METRICS: given}, METRICS) == address


@pytest.mark.parametrize("given", ["soon", "0", "70000", "http://127.0.0.1:9464", "127.0.0.1:", "127.0.0.1:9464/x"])
def test_a_wrong_address_is_named(given: str) -> None:
    with pytest.raises(HoldfastError, match=METRICS) as raised:
        set_up_telemetry({METRICS: given})
    assert raised.value.code is ErrorCode.VALIDATION_ERROR


def test_a_taken_port_is_named() -> None:
    """The worker does not start, instead of running unseen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(HoldfastError, match=address) as raised:
            set_up_telemetry({METRICS: address})
    assert raised.value.code is ErrorCode.VALIDATION_ERROR


def test_the_load_process_has_the_next_port() -> None:
    given = {METRICS: "0.0.0.0:9464", HEALTH: "8080"}
    assert next_addresses(given) == {METRICS: "0.0.0.0:9465", HEALTH: "127.0.0.1:8081"}
    assert next_addresses({}) == {}


@pytest.mark.parametrize(("metrics", "health"), [("9464", "9465"), ("9465", "9464"), ("9464", "9464"), ("65535", "")])
def test_ports_that_leave_none_for_the_load_process_are_refused(metrics: str, health: str) -> None:
    with pytest.raises(HoldfastError, match=METRICS) as raised:
        next_addresses({METRICS: metrics, HEALTH: health})
    assert raised.value.code is ErrorCode.VALIDATION_ERROR
