"""Addresses as text."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.origin import NetworkOrigin, is_within
from number_verification.origin.address import format_address, parse_address, unmapped

V6 = ipaddress.ip_address("2001:db8::1").packed

origins = st.builds(
    NetworkOrigin,
    st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16).map(unmapped)),
    st.integers(0, 0xFFFF),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("203.0.113.7", NetworkOrigin(bytes([203, 0, 113, 7]), 0)),
        ("203.0.113.7:40001", NetworkOrigin(bytes([203, 0, 113, 7]), 40001)),
        ("203.0.113.7:65535", NetworkOrigin(bytes([203, 0, 113, 7]), 65535)),
        ("203.0.113.7:0", NetworkOrigin(bytes([203, 0, 113, 7]), 0)),
        ("2001:db8::1", NetworkOrigin(V6, 0)),
        ("[2001:db8::1]", NetworkOrigin(V6, 0)),
        ("[2001:DB8:0:0:0:0:0:1]:4711", NetworkOrigin(V6, 4711)),
        ("::", NetworkOrigin(bytes(16), 0)),
        ("::ffff:203.0.113.7", NetworkOrigin(bytes([203, 0, 113, 7]), 0)),
        ("[::ffff:cb00:7107]:9", NetworkOrigin(bytes([203, 0, 113, 7]), 9)),
        ("::203.0.113.7", NetworkOrigin(bytes(12) + bytes([203, 0, 113, 7]), 0)),
    ],
)
def test_address_is_read(text: str, expected: NetworkOrigin) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "_hidden",
        "_hidden:80",
        "203.0.113.7:_port",
        "203.0.113",
        "203.0.113.7.1",
        "203.0.113.256",
        "203.0.113.07",
        "203.0.113.-7",
        "0xcb.0.113.7",
        "3405803783",
        "203.0.113.7:",
        "203.0.113.7:00",
        "203.0.113.7:080",
        "203.0.113.7:65536",
        "203.0.113.7:99999",
        "203.0.113.7:100000",
        "203.0.113.7:+1",
        "203.0.113.7:-1",
        "203.0.113.7:1_0",
        "203.0.113.7:٣",
        "２03.0.113.7",
        " 203.0.113.7",
        "203.0.113.7 ",
        "203.0.113.7\n",
        "203.0.113.7\0",
        "203.0.113.7:80:80",
        "[203.0.113.7]:80",
        "[2001:db8::1",
        "2001:db8::1]",
        "[[2001:db8::1]]",
        "[2001:db8::1]4711",
        "[2001:db8::1]:",
        "[2001:db8::1]:070",
        "[2001:db8::1]:65536",
        "[]:1",
        "fe80::1%eth0",
        "[fe80::1%25eth0]:1",
        "2001:db8::1::2",
        "2001:db8:0:0:0:0:0:1:4711",
        "12345::",
        "::ffff:203.0.113.07",
        "::ffff:203.0.113.7:80",
        "\ud800",
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    assert parse_address(text) is None


@given(st.text())
def test_arbitrary_text_is_an_address_or_none(text: str) -> None:
    assert parse_address(text) is None or isinstance(parse_address(text), NetworkOrigin)


@given(st.text(alphabet="0123456789abcdef:.[]%", max_size=40))
def test_every_address_that_is_read_is_one_to_an_independent_parser(text: str) -> None:
    origin = parse_address(text)
    if origin is not None:
        host = text[1:].partition("]")[0] if text.startswith("[") else text
        if host.count(":") == 1:
            host = host.partition(":")[0]
        assert unmapped(ipaddress.ip_address(host).packed) == origin.address


@given(st.ip_addresses())
def test_every_address_of_an_independent_writer_is_read(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert parse_address(str(address)) == NetworkOrigin(unmapped(address.packed), 0)


@given(origins)
def test_round_trip(origin: NetworkOrigin) -> None:
    assert parse_address(format_address(origin)) == origin


@pytest.mark.parametrize(
    ("address", "networks", "expected"),
    [
        ("10.0.0.255", ["10.0.0.0/24"], True),
        ("10.0.1.0", ["10.0.0.0/24"], False),
        ("10.0.1.0", ["192.0.2.0/24", "10.0.1.0/32"], True),
        ("10.0.1.0", [], False),
        ("2001:db8::ffff", ["2001:db8::/64"], True),
        ("2001:db8:0:1::", ["2001:db8::/64"], False),
        ("10.0.0.1", ["::/0"], False),
        ("2001:db8::1", ["0.0.0.0/0"], False),
        ("::ffff:10.0.0.1", ["10.0.0.0/8"], True),
    ],
)
def test_is_within(address: str, networks: list[str], expected: bool) -> None:
    origin = parse_address(address)
    assert origin is not None
    assert is_within(origin.address, [ipaddress.ip_network(n) for n in networks]) is expected


@given(st.ip_addresses(), st.lists(st.tuples(st.ip_addresses(), st.integers(0, 32)), max_size=4))
def test_is_within_agrees_with_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
    networks: list[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]],
) -> None:
    built = [ipaddress.ip_network(f"{base}/{length}", strict=False) for base, length in networks]
    assert is_within(address.packed, built) is any(address in network for network in built)
