"""The resolver, one attack or accident after the other."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.origin import NetworkOrigin, is_within
from number_verification.domain.refusal import Reason
from number_verification.origin.address import parse_address
from number_verification.origin.resolver import HeaderKind, OriginPolicy, resolve_origin

PROXIES = (ip_network("127.9.9.9/32"), ip_network("10.0.0.0/24"), ip_network("2001:db8:ffff::/48"))
FORWARDED = OriginPolicy(PROXIES, HeaderKind.FORWARDED)
X_FORWARDED_FOR = OriginPolicy(PROXIES, HeaderKind.X_FORWARDED_FOR)
PROXY = "127.9.9.9:50000"
VICTIM = "198.51.100.99"


def address(text: str) -> NetworkOrigin:
    origin = parse_address(text)
    assert origin is not None
    return origin


def forwarded(header: str | None, *, peer: str = PROXY, other: str | None = None) -> NetworkOrigin | Reason:
    return resolve_origin(address(peer), header, other, FORWARDED)


def x_forwarded_for(header: str | None, *, peer: str = PROXY, other: str | None = None) -> NetworkOrigin | Reason:
    return resolve_origin(address(peer), other, header, X_FORWARDED_FOR)


def test_a_device_is_its_own_connection() -> None:
    assert forwarded(None, peer="127.1.0.1:4000") == address("127.1.0.1:4000")


@pytest.mark.parametrize("policy", [FORWARDED, X_FORWARDED_FOR, OriginPolicy()])
@pytest.mark.parametrize("peer", ["127.1.0.1:4000", "2001:db8::1", "10.0.1.1"])
def test_forged_headers_from_a_device_are_worthless(policy: OriginPolicy, peer: str) -> None:
    origin = address(peer)
    assert resolve_origin(origin, f"for={VICTIM}", VICTIM, policy) == origin
    assert resolve_origin(origin, f"for={VICTIM},for=127.9.9.9", None, policy) == origin
    assert resolve_origin(origin, None, f"{VICTIM}, 127.9.9.9", policy) == origin
    assert resolve_origin(origin, "\0" * 100_000, "garbage", policy) == origin


def test_behind_a_trusted_proxy_the_device_is_what_the_proxy_saw() -> None:
    assert forwarded('for="203.0.113.7:40001"') == address("203.0.113.7:40001")
    assert forwarded('for="[2001:db8::1]:4711";proto=https') == address("[2001:db8::1]:4711")
    assert x_forwarded_for("203.0.113.7:40001") == address("203.0.113.7:40001")


def test_port_missing_stays_unknown_and_is_not_the_proxys() -> None:
    assert forwarded('for="203.0.113.7"') == NetworkOrigin(address("203.0.113.7").address, 0)
    assert forwarded('for="203.0.113.7:0"') == NetworkOrigin(address("203.0.113.7").address, 0)
    assert x_forwarded_for("203.0.113.7") == NetworkOrigin(address("203.0.113.7").address, 0)


@pytest.mark.parametrize("forged", [VICTIM, "unknown", "_x", "127.9.9.9", "10.0.0.1"])
def test_forged_elements_left_of_the_device_are_ignored(forged: str) -> None:
    assert forwarded(f'for={forged},for="203.0.113.7:40001"') == address("203.0.113.7:40001")
    assert x_forwarded_for(f"{forged}, 203.0.113.7:40001") == address("203.0.113.7:40001")


@pytest.mark.parametrize("chain", [["10.0.0.1"], ["[2001:db8:ffff::1]:80", "10.0.0.1:9"]])
def test_a_chain_of_trusted_proxies_is_walked_from_the_right(chain: list[str]) -> None:
    elements = [VICTIM, "203.0.113.7:40001", *chain]
    assert forwarded(",".join(f'for="{element}"' for element in elements)) == address("203.0.113.7:40001")
    assert x_forwarded_for(",".join(elements)) == address("203.0.113.7:40001")


def test_a_proxy_that_is_not_trusted_is_taken_for_the_device_it_may_be() -> None:
    """It may have written what it liked about whom it relays."""
    assert forwarded(f'for={VICTIM},for="192.0.2.1:5"') == address("192.0.2.1:5")


@pytest.mark.parametrize(
    "nobody", ["unknown", "_hidden", '"_x:1"', '"203.0.113.7:_p"', '"fe80::1%eth0"', "203.0.113.07"]
)
@pytest.mark.parametrize("inner", ["", ",for=10.0.0.1"])
def test_nobody_at_the_deciding_place_is_refused(nobody: str, inner: str) -> None:
    assert forwarded(f"for={VICTIM},for={nobody}{inner}") is Reason.ORIGIN_MALFORMED


@pytest.mark.parametrize("header", ["", " ", ",", "proto=https", f"for={VICTIM},", f"for={VICTIM},proto=https"])
def test_an_element_without_a_name_is_no_licence_to_look_further_left(header: str) -> None:
    assert forwarded(header) is Reason.ORIGIN_MALFORMED


@pytest.mark.parametrize(
    "header", ["", " ", ",", "unknown", f"{VICTIM},", f"{VICTIM}, unknown", f"{VICTIM}, unknown, 10.0.0.1"]
)
def test_nobody_in_x_forwarded_for_is_refused(header: str) -> None:
    assert x_forwarded_for(header) is Reason.ORIGIN_MALFORMED


def test_a_trusted_proxy_that_says_nothing_is_not_the_device() -> None:
    assert forwarded(None) is Reason.ORIGIN_MALFORMED
    assert x_forwarded_for(None) is Reason.ORIGIN_MALFORMED


@pytest.mark.parametrize("stray", ["", "garbage", VICTIM, f"for={VICTIM}", "203.0.113.7:40001"])
def test_two_headers_are_refused_even_where_they_agree(stray: str) -> None:
    assert forwarded('for="203.0.113.7:40001"', other=stray) is Reason.ORIGIN_MALFORMED
    assert x_forwarded_for("203.0.113.7:40001", other=stray) is Reason.ORIGIN_MALFORMED


def test_the_header_that_is_not_configured_names_nobody() -> None:
    assert forwarded(None, other="203.0.113.7:40001") is Reason.ORIGIN_MALFORMED
    assert x_forwarded_for(None, other='for="203.0.113.7:40001"') is Reason.ORIGIN_MALFORMED


def test_only_trusted_proxies_in_the_header_is_refused() -> None:
    assert forwarded('for=127.9.9.9,for="[2001:db8:ffff::1]:80"') is Reason.ORIGIN_MALFORMED
    assert x_forwarded_for("127.9.9.9, 10.0.0.1:1") is Reason.ORIGIN_MALFORMED


@pytest.mark.parametrize(
    "header", ["garbage", 'for="203.0.113.7:40001', "for=203.0.113.7;for=203.0.113.7", "for=203.0.113.7; proto=http"]
)
def test_malformed_header_of_a_trusted_proxy_is_refused(header: str) -> None:
    assert forwarded(header) is Reason.ORIGIN_MALFORMED


def test_too_large_a_header_is_refused() -> None:
    assert forwarded("x=" + "a" * 5000 + ',for="203.0.113.7:40001"') is Reason.ORIGIN_MALFORMED
    assert x_forwarded_for("a," * 50 + "203.0.113.7:40001") is Reason.ORIGIN_MALFORMED


@pytest.mark.parametrize("mapped", ["::ffff:127.9.9.9", "::ffff:7f09:909"])
def test_a_mapped_address_does_not_pass_by_the_trust_list(mapped: str) -> None:
    assert forwarded(None, peer=mapped) is Reason.ORIGIN_MALFORMED
    assert forwarded(f'for="203.0.113.7:40001",for="[{mapped}]:1"') == address("203.0.113.7:40001")
    assert x_forwarded_for(f"203.0.113.7:40001, {mapped}", peer=mapped) == address("203.0.113.7:40001")


def test_a_mapped_device_is_its_ipv4_address() -> None:
    assert forwarded('for="[::ffff:203.0.113.7]:40001"') == address("203.0.113.7:40001")


def test_trusted_proxies_without_a_header_are_a_faulty_policy() -> None:
    with pytest.raises(ValueError, match="header"):
        OriginPolicy(PROXIES)


headers = st.none() | st.text(max_size=80) | st.text(alphabet='for=by;,"127.9:[]_x ', max_size=80)


@given(headers, headers, st.sampled_from([FORWARDED, X_FORWARDED_FOR]))
def test_arbitrary_headers_of_a_trusted_proxy_never_name_a_proxy(
    one: str | None, other: str | None, policy: OriginPolicy
) -> None:
    origin = resolve_origin(address(PROXY), one, other, policy)
    if isinstance(origin, Reason):
        assert origin is Reason.ORIGIN_MALFORMED
    else:
        assert not is_within(origin.address, PROXIES)


@given(st.text(max_size=80))
def test_whatever_a_client_sends_the_proxy_decides(client_wrote: str) -> None:
    device = address("203.0.113.7:40001")
    expected = (device, Reason.ORIGIN_MALFORMED)
    assert forwarded(f'{client_wrote},for="203.0.113.7:40001"') in expected
    assert x_forwarded_for(f"{client_wrote},203.0.113.7:40001") in expected
