"""Every spelling of an address has the same canonical form."""

from __future__ import annotations

import socket
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.addresses import LOOPBACK_HOST, Address, address_in, address_of, canonical_host

LOOPBACK = [
    *("localhost", "LOCALHOST", "LocalHost", "localhost.", "shop.localhost", "a.b.localhost.", "localhost.localdomain"),
    *("localhost6", "ip6-localhost", "ip6-loopback", "IP6-LOCALHOST", "\uff4cocalhost", "127\u30020\u30020\u30021"),
    *("127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "127.255.255.254", "127.0.0.2", "127.000.000.001"),
    *("2130706433", "0x7f000001", "0X7F000001", "017700000001", "0x7f.1", "0177.1", "0177.0.0.01", "0x7f.0x0.0x0.0x1"),
    *("0x7f.0.1", "127.0x000001", "0.0.0.0", "0", "0x0", "00", "0.0", "000.0.0"),
    *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::0:1]", "[0::1]", "[::01]"),
    *(
        "[::ffff:127.0.0.1]",
        "[::FFFF:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:ffff:127.0.0.1]",
        "[::ffff:127.9.9.9]",
    ),
    *("[::ffff:0.0.0.0]", "[::ffff:0:0]", "[::1%lo]", "[::1%25lo]", "[0:0::0]", "[::0.0.0.1]"),
]
OTHERS = {
    "10.0.0.7": ["10.0.0.7", "10.0.0.7.", "10.7", "10.0.7", "167772167", "0xa000007", "012.0.0.07", "0xA.0x0.0.7"],
    "faults.shop.internal": ["faults.shop.internal", "Faults.Shop.INTERNAL", "faults.shop.internal."],
    "xn--bcher-kva.example": [
        "b\u00fccher.example",
        "B\u00dcCHER.example",
        "xn--bcher-kva.example",
        "XN--BCHER-KVA.example.",
    ],
    "2001:db8::5": ["[2001:db8::5]", "[2001:DB8:0:0:0:0:0:5]", "[2001:0db8:0000::0005]", "[2001:db8::0.0.0.5]"],
    "192.0.2.9": ["192.0.2.9", "[::ffff:192.0.2.9]", "[::ffff:c000:209]", "3221225993", "192.0.521"],
    "fe80::1%eth0": ["[fe80::1%eth0]", "[fe80::1%25eth0]", "[FE80:0::1%eth0]"],
}
PORTS = {80: ["http://{}/", "http://{}:80/api", "HTTP://{}", "https://{}:80", "http://{}:0080"], 443: ["https://{}"]}


@pytest.mark.parametrize("host", LOOPBACK)
def test_every_spelling_of_loopback_is_one_address(host: str) -> None:
    for port, forms in PORTS.items():
        for form in forms:
            found = address_of(form.format(host))
            assert (found, found.is_loopback, str(found)) == (Address(LOOPBACK_HOST, port), True, f"localhost:{port}")
    assert address_in(f"{host}:8103") == address_of(f"https://{host}:8103/x") == Address.of(host, 8103)


@pytest.mark.parametrize(("canonical", "host"), [(name, host) for name, hosts in OTHERS.items() for host in hosts])
def test_every_spelling_of_another_host_is_one_address(canonical: str, host: str) -> None:
    found = address_of(f"http://{host}:8103")
    assert (found.host, found.port, found.is_loopback) == (canonical, 8103, False)
    assert address_in(str(found)) == found


def test_more_than_400_spellings_of_addresses_are_covered() -> None:
    spellings = [*LOOPBACK, *(host for hosts in OTHERS.values() for host in hosts)]
    assert len(set(product(spellings, [form for forms in PORTS.values() for form in forms]))) > 400


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://128.0.0.1",
            "http://localhost.example",
            "http://notlocalhost",
            "http://local-host",
            "http://127.0.0.1.x",
        ),
        *("http://[::2]", "http://[fe80::1]", "http://[::ffff:128.0.0.1]", "http://08.0.0.1", "http://127.0.0.1.1"),
        *("http://4294967296", "http://256.0.0.1", "http://0x", "http://127..1", "http://1e3", "http://0x100000000"),
    ],
)
def test_hosts_that_only_look_like_loopback_are_other_hosts(url: str) -> None:
    assert not address_of(url).is_loopback


def test_different_ports_are_different_addresses() -> None:
    assert address_of("http://localhost") != address_of("https://localhost")
    assert address_of("http://localhost:8103") != address_of("http://127.0.0.1:8104")


@pytest.mark.parametrize(
    "text",
    [
        *("", "http://", "localhost", "//localhost", "ftp://localhost", "http://localhost:0", "http://h:65536"),
        *("http://.", "http://...", "http://[::1", "http://[::g]", "http://\u00ad", "http://:80", "h:-1", "http://h:x"),
        *("[v1.x]:80x", ":80", "[]:80"),
    ],
)
def test_text_without_a_valid_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the sentences differ by Python version
        address_in(text)


def test_a_number_of_any_length_is_read_in_bounded_time() -> None:
    assert canonical_host("9" * 1_000_000) == "9" * 1_000_000


NUMBERS = st.one_of(
    st.integers(0, 300).map(str),
    st.integers(0, 2**33).map(hex),
    st.integers(0, 2**33).map(lambda one: f"0{one:o}"),
    st.sampled_from(["", "0x", "08", "0", "00", "+1", "1_0", " 1", "\u0661"]),
)


@given(st.lists(NUMBERS, min_size=1, max_size=5).map(".".join))
@example("0x7f.0.0x.1")
@example("00000000000000000000000000000177.1")
@example("0.")
def test_numbers_are_read_as_the_resolver_reads_them(text: str) -> None:
    """The oracle is inet_aton of this machine. Unlike ours, it accepts text after a space and no final dot."""
    try:
        expected = socket.inet_ntoa(socket.inet_aton(text.rstrip("."))) if " " not in text and text.isascii() else None
    except OSError:
        expected = None
    try:
        found = canonical_host(text)
    except ValueError:
        found = ""
    if expected is None:
        assert found != LOOPBACK_HOST
    else:
        assert found == (LOOPBACK_HOST if expected.startswith("127.") or expected == "0.0.0.0" else expected)
