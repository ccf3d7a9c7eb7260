from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.events import ADDRESS, ALICE, PUBLIC, T, prefix, start, update
from number_verification.domain.session import (
    Claim,
    EventKind,
    Ipv4Address,
    Ipv6Prefix,
    Latest,
    PortBlock,
    PortBlockRecord,
    SessionEvent,
    SessionKey,
    Subscriber,
    Tethering,
)
from number_verification.sessions import codec
from number_verification.sessions.codec import Damaged, Gateway, StoredSession

_NAMES = st.text(max_size=300)
_TIMES = st.integers(1, 253_402_300_799_999)
_IPV4 = st.builds(Ipv4Address, _NAMES, st.binary(min_size=4, max_size=4))
_IPV6 = st.builds(Ipv6Prefix, st.binary(min_size=16, max_size=16), st.integers(1, 128))
_KEY = SessionKey("gw-1", "a")


def events(key: st.SearchStrategy[SessionKey]) -> st.SearchStrategy[SessionEvent]:
    return st.builds(
        SessionEvent,
        st.sampled_from(EventKind),
        key,
        _TIMES,
        st.none() | st.builds(Subscriber, _NAMES, _NAMES),
        st.none() | _IPV4,
        st.none() | st.lists(_IPV6, max_size=4).map(tuple),
        st.none() | _NAMES,
        st.none() | st.integers(0, 2**32 - 1),
        st.none() | st.sampled_from(Tethering),
        st.none() | _NAMES,
    )


def stored(*feed: SessionEvent) -> StoredSession:
    session = None
    for event in feed:
        session = codec.with_event(session, event)
    assert session is not None
    return session


def decoded(session: StoredSession, raw: bytes) -> StoredSession:
    key = session.record.key
    return codec.decode_session(key.nas, codec.key_text(key.session_id), raw)


@given(
    st.builds(SessionKey, _NAMES, _NAMES).flatmap(lambda key: st.lists(events(st.just(key)), min_size=1, max_size=4))
)
def test_a_session_comes_back_as_it_was(feed: list[SessionEvent]) -> None:
    session = stored(*feed)
    raw = codec.encode_session(session)
    again = decoded(session, raw)
    assert again == session
    assert list(again.claims) == list(session.claims)
    assert codec.last_seen(raw) == session.record.last_seen


@given(st.binary(max_size=400))
def test_bytes_that_are_no_session_are_damaged_or_some_session(raw: bytes) -> None:
    reads: tuple[Callable[[], object], ...] = (
        lambda: codec.decode_session("gw-1", b"a", b"\1" + raw),
        lambda: codec.decode_gateway(raw),
        lambda: codec.decode_block(bytes(8), b"\1" + raw),
        lambda: codec.last_seen(raw),
        lambda: codec.over_since(raw),
    )
    for read in reads:
        with suppress(Damaged):
            read()


def test_a_session_cut_short_is_damaged() -> None:
    session = stored(start("a", 0, ipv6=(prefix("20010db8/64"),), tethering=Tethering.NO), update("a", 5))
    raw = codec.encode_session(session)
    for length in range(64):
        with pytest.raises(Damaged):
            codec.decode_session("gw-1", b"a", raw[:length])


def test_what_a_later_version_wrote_is_not_guessed_at() -> None:
    raw = codec.encode_session(stored(start("a", 0)))
    with pytest.raises(Damaged, match="unknown version"):
        codec.decode_session("gw-1", b"a", b"\2" + raw[1:])
    block = codec.encode_block(PortBlockRecord(PortBlock(PUBLIC, 1, 2), None, T))
    with pytest.raises(Damaged, match="unknown version"):
        codec.decode_block(codec.block_key(PortBlock(PUBLIC, 1, 2)), b"\2" + block[1:])


def test_a_session_takes_little_room() -> None:
    """400 bytes on disk, pages two thirds full and the index by address included."""
    event = start("0a1b2c3d4e5f6071", 0, ALICE, tethering=Tethering.NO, serving_network="99999")
    session = stored(event, update("0a1b2c3d4e5f6071", 3_600_000))
    assert len(codec.encode_session(session)) <= 150
    assert len(codec.address_key(ADDRESS)) <= 10


@given(st.lists(_IPV4 | _IPV6, min_size=2, max_size=2, unique=True))
def test_no_address_key_is_the_beginning_of_another(addresses: list[codec.Address]) -> None:
    one, other = (codec.address_key(address) for address in addresses)
    assert not one.startswith(other)
    assert not other.startswith(one)


@given(_NAMES, _NAMES)
def test_names_in_keys_are_short_and_apart(one: str, other: str) -> None:
    assert len(codec.key_text(one)) <= 128
    assert (codec.key_text(one) == codec.key_text(other)) == (one == other)


@given(_NAMES, _TIMES, _TIMES)
def test_a_gateway_comes_back_as_it_was(nas: str, epoch: int, heard: int) -> None:
    gateway = Gateway(nas, epoch, heard)
    assert codec.decode_gateway(codec.encode_gateway(gateway)) == gateway


@given(st.none() | st.builds(Latest, _TIMES, _IPV4), st.just(0) | _TIMES)
def test_a_port_block_comes_back_as_it_was(allocation: Latest[Ipv4Address] | None, released: int) -> None:
    record = PortBlockRecord(PortBlock(PUBLIC, 1024, 65535), allocation, released)
    raw = codec.encode_block(record)
    assert codec.decode_block(codec.block_key(record.block), raw) == record
    over = allocation is None or released >= allocation.time
    assert codec.over_since(raw) == (released if over else codec.FAR_FUTURE)


def test_claims_remember_first_and_last() -> None:
    session = stored(update("a", 5), start("a", 0), update("a", 9, ipv4=None), update("a", 3))
    assert session.claims == {ADDRESS: Claim(T, T + 5)}
