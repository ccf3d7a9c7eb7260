from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

import pytest

from conformance.events import ADDRESS, ALICE, BOB, POLICY, T, allocated, prefix, released, start, stop
from number_verification.domain.location import AddressPlan, LocatedDevice, locate, still_there
from number_verification.domain.origin import NetworkOrigin
from number_verification.domain.refusal import Reason
from number_verification.sessions.lmdb import LmdbSessionStore

PLAN = AddressPlan(
    direct=((IPv4Network("10.0.0.0/8"), "home"), (IPv6Network("2001:db8::/32"), "")),
    translated=(IPv4Network("203.0.113.0/24"),),
)
V6 = prefix("20010db800010000/64")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LmdbSessionStore]:
    store = LmdbSessionStore(tmp_path / "store", 16 << 20)
    yield store
    store.close()


def located(store: LmdbSessionStore, address: str, port: int = 0, plan: AddressPlan = PLAN) -> object:
    found = locate(NetworkOrigin(ip_address(address).packed, port), store, plan, POLICY, T + 1_000)
    return (found.session.subscriber, found.address) if isinstance(found, LocatedDevice) else found


def test_addresses_of_devices_name_them(store: LmdbSessionStore) -> None:
    store.record([start("a", 0, ipv6=(V6,))], T)
    assert located(store, "10.0.0.1") == (ALICE, ADDRESS)
    assert located(store, "10.0.0.1", 4711) == (ALICE, ADDRESS)
    address = ip_address("2001:db8:1::17")
    assert located(store, str(address), 4711) == (ALICE, address.packed)


@pytest.mark.parametrize("address", ["192.0.2.1", "11.0.0.1", "2001:db9::1", "10.0.0.9", "2001:db8:1:1::1", "::a00:1"])
def test_any_other_address_is_off_net(store: LmdbSessionStore, address: str) -> None:
    store.record([start("a", 0, ipv6=(V6,))], T)
    assert located(store, address, 4711) is Reason.OFF_NET


def test_the_realm_is_that_of_the_network(store: LmdbSessionStore) -> None:
    store.record([start("a", 0)], T)
    plan = AddressPlan(direct=((IPv4Network("10.0.0.0/8"), "elsewhere"),))
    assert located(store, "10.0.0.1", plan=plan) is Reason.OFF_NET


def test_the_first_network_that_fits_counts(store: LmdbSessionStore) -> None:
    store.record([start("a", 0)], T)
    plan = AddressPlan(direct=((IPv4Network("10.0.0.0/24"), "home"), (IPv4Network("10.0.0.0/8"), "elsewhere")))
    assert located(store, "10.0.0.1", plan=plan) == (ALICE, ADDRESS)


def test_behind_cgnat_address_and_port_name_a_device(store: LmdbSessionStore) -> None:
    store.record([start("a", 0), allocated((1024, 1535), 5)], T)
    assert located(store, "203.0.113.7", 1300) == (ALICE, ADDRESS)
    assert located(store, "203.0.113.7") is Reason.PORT_MISSING
    assert located(store, "203.0.113.7", 1536) is Reason.PORT_UNASSIGNED
    assert located(store, "203.0.113.8", 1300) is Reason.PORT_UNASSIGNED
    store.record([released((1024, 1535), 9)], T)
    assert located(store, "203.0.113.7", 1300) is Reason.PORT_UNASSIGNED


def test_the_session_behind_a_port_has_to_be_live(store: LmdbSessionStore) -> None:
    store.record([allocated((1024, 1535), 5)], T)
    assert located(store, "203.0.113.7", 1300) is Reason.OFF_NET
    store.record([start("a", 0), stop("a", 7)], T)
    assert located(store, "203.0.113.7", 1300) is Reason.SESSION_ENDED


def test_a_block_older_than_the_session_was_somebody_elses(store: LmdbSessionStore) -> None:
    """Its release was lost, and the private address was given on."""
    store.record([start("a", 0), allocated((1024, 1535), 5), stop("a", 7), start("b", 8, BOB)], T)
    assert located(store, "203.0.113.7", 1300) is Reason.AMBIGUOUS
    store.record([allocated((1024, 1535), 9)], T)
    assert located(store, "203.0.113.7", 1300) == (BOB, ADDRESS)


def test_whether_a_device_is_still_there(store: LmdbSessionStore) -> None:
    store.record([start("a", 0)], T)
    assert not isinstance(still_there(ADDRESS, store, POLICY, T + 1), Reason)
    store.record([stop("a", 5)], T)
    assert still_there(ADDRESS, store, POLICY, T + 6) is Reason.SESSION_ENDED
