"""What every session store must do. A test module of each engine subclasses the suite and gives a factory."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.events import (
    ADDRESS,
    ALICE,
    BOB,
    OTHER_ADDRESS,
    POLICY,
    PUBLIC,
    T,
    allocated,
    prefix,
    released,
    restart,
    start,
    stop,
    update,
    who_has,
)
from number_verification.domain.attribution import attribute, private_address
from number_verification.domain.refusal import Reason
from number_verification.domain.session import (
    Event,
    EventKind,
    GatewayRestart,
    Ipv4Address,
    PortBlock,
    PortBlockAllocated,
    PortBlockReleased,
    SessionEvent,
    SessionKey,
    Subscriber,
    Tethering,
)
from number_verification.sessions.store import SessionStore

SessionStoreFactory: TypeAlias = Callable[[], SessionStore]
"""Opens a new, empty store each time it is called."""

_ADDRESSES = [Ipv4Address(realm, bytes((10, 0, 0, host))) for realm in ("home", "") for host in (1, 2)]
_PREFIXES = [prefix("20010db800010000/56"), prefix("20010db800010000/64"), prefix("20010db800010001/64")]
_IPV6_ADDRESSES = [prefix("20010db8000100000000000000000001/128").address, prefix("20010db8000100010000/128").address]
_BLOCKS = [PortBlock(PUBLIC, 1024, 1535), PortBlock(PUBLIC, 1280, 1407), PortBlock(PUBLIC, 1536, 2047)]

# Few instants, so that many are equal.
_TIMES = st.integers(T, T + 8)
_KEYS = st.builds(SessionKey, st.sampled_from(("gw-1", "gw-2")), st.sampled_from(("a", "b", "c")))


def session_events(keys: st.SearchStrategy[SessionKey]) -> st.SearchStrategy[SessionEvent]:
    """Events of the sessions with these keys."""
    return st.builds(
        SessionEvent,
        st.sampled_from(EventKind),
        keys,
        _TIMES,
        subscriber=st.none() | st.sampled_from((ALICE, BOB)),
        ipv4=st.none() | st.sampled_from(_ADDRESSES),
        ipv6=st.none() | st.lists(st.sampled_from(_PREFIXES), max_size=2).map(tuple),
        apn=st.none() | st.sampled_from(("internet", "ims")),
        rat_type=st.none() | st.sampled_from((3, 6)),
        tethering=st.none() | st.sampled_from(Tethering),
        serving_network=st.none() | st.sampled_from(("99901", "99902")),
    )


_EVENTS: st.SearchStrategy[Event] = st.one_of(
    session_events(_KEYS),
    st.builds(GatewayRestart, st.sampled_from(("gw-1", "gw-2")), _TIMES),
    st.builds(PortBlockAllocated, st.sampled_from(_BLOCKS), _TIMES, st.sampled_from(_ADDRESSES)),
    st.builds(PortBlockReleased, st.sampled_from(_BLOCKS), _TIMES),
)


@st.composite
def feeds_and_disorder(draw: st.DrawFn) -> tuple[list[Event], list[list[Event]]]:
    """Some events, and the same ones in another order, with repetitions, in batches."""
    events = draw(st.lists(_EVENTS, max_size=12))
    again = draw(st.lists(st.sampled_from(events), max_size=6)) if events else []
    disorder = draw(st.permutations(events + again))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(disorder) - 1)), max_size=3)))
    batches = [disorder[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(disorder)], strict=True)]
    return events, batches


def dump(store: SessionStore) -> object:
    """All that a store can tell, in an order that does not depend on the engine, without when gateways were heard."""
    sessions = sorted(store.sessions(None, 1_000), key=lambda record: record.key)
    addresses: list[Ipv4Address | bytes] = [*_ADDRESSES, *_IPV6_ADDRESSES]
    by_address = [
        sorted((sighting._replace(nas_heard=0) for sighting in store.sightings(address)), key=lambda s: s.session.key)
        for address in addresses
    ]
    blocks = [
        sorted(store.port_blocks(PUBLIC, port), key=lambda record: record.block) for port in range(1000, 2100, 64)
    ]
    answers = [attribute(store.sightings(address), POLICY, T + 10) for address in addresses]
    return sessions, by_address, blocks, answers


class SessionStoreSuite:
    """Subclasses define the fixture `factory`, of class scope."""

    @pytest.fixture
    def store(self, factory: SessionStoreFactory) -> Iterator[SessionStore]:
        store = factory()
        yield store
        store.close()

    # What makes a session, and what ends it.

    def test_a_started_session_is_found_by_its_address(self, store: SessionStore) -> None:
        event = start("a", 0, tethering=Tethering.NO, serving_network="99901")
        store.record([event], T + 5)
        [sighting] = store.sightings(ADDRESS)
        assert sighting.session == store.session(event.key)
        assert (sighting.claim, sighting.held) == ((T, T), True)
        assert (sighting.nas_epoch, sighting.nas_heard) == (0, T + 5)
        record = sighting.session
        assert (record.key, record.started, record.first_seen, record.last_seen, record.ended) == (
            event.key,
            T,
            T,
            T,
            0,
        )
        assert (record.subscriber, record.ipv4, record.ipv6) == (ALICE, (T, ADDRESS), None)
        assert (record.apn, record.rat_type) == ((T, "internet"), (T, 6))
        assert (record.tethering, record.serving_network) == ((T, Tethering.NO), (T, "99901"))
        assert record.tethering is not None
        assert isinstance(record.tethering.value, Tethering)
        assert who_has(store) == ALICE

    def test_nothing_is_found_of_what_was_never_reported(self, store: SessionStore) -> None:
        assert not store.sightings(ADDRESS)
        assert not store.sightings(bytes(16))
        assert not store.port_blocks(PUBLIC, 1)
        assert store.session(SessionKey("gw-1", "a")) is None
        assert not store.sessions(None, 10)
        assert not store.sessions(SessionKey("gw-1", "a"), 10)
        assert not store.sessions(None, 10, "gw-1")
        assert store.purge(T, 10) == 0

    def test_a_stop_ends_it(self, store: SessionStore) -> None:
        store.record([start("a", 0), stop("a", 1)], T)
        assert who_has(store) is Reason.SESSION_ENDED

    def test_a_stop_before_its_start_stays(self, store: SessionStore) -> None:
        store.record([stop("a", 5, None, ipv4=None)], T)
        store.record([start("a", 0)], T)
        assert who_has(store) is Reason.SESSION_ENDED

    def test_an_update_creates_a_session_whose_start_was_lost(self, store: SessionStore) -> None:
        store.record([update("a", 3)], T)
        assert who_has(store) == ALICE

    def test_an_update_never_revives(self, store: SessionStore) -> None:
        store.record([start("a", 0), stop("a", 5)], T)
        store.record([update("a", 4), update("a", 5), update("a", 9)], T)
        assert who_has(store) is Reason.SESSION_ENDED

    def test_what_is_not_reported_is_not_cleared(self, store: SessionStore) -> None:
        store.record([start("a", 0), update("a", 5, None, ipv4=None, apn=None, rat_type=None)], T)
        record = store.session(SessionKey("gw-1", "a"))
        assert record is not None
        assert (record.last_seen, record.ipv4, record.apn) == (T + 5, (T, ADDRESS), (T, "internet"))
        assert who_has(store) == ALICE

    def test_a_late_report_changes_nothing_that_is_newer(self, store: SessionStore) -> None:
        store.record([update("a", 5, rat_type=6)], T)
        store.record([start("a", 0, rat_type=3)], T)
        record = store.session(SessionKey("gw-1", "a"))
        assert record is not None
        assert record.rat_type == (T + 5, 6)
        assert (record.started, record.first_seen, record.last_seen) == (T, T, T + 5)

    def test_instants_far_apart_are_kept(self, store: SessionStore) -> None:
        year = 365 * 24 * 3_600_000
        store.record([start("a", 0), update("a", year, None, ipv4=OTHER_ADDRESS, apn=None)], T)
        [sighting] = store.sightings(ADDRESS)
        assert (sighting.session.started, sighting.session.last_seen) == (T, T + year)
        assert (sighting.session.apn, sighting.session.ipv4) == ((T, "internet"), (T + year, OTHER_ADDRESS))
        assert (sighting.claim, sighting.held) == ((T, T), False)

    # Gateways.

    def test_a_restart_ends_thousands_of_sessions_by_one_write(self, store: SessionStore) -> None:
        addresses = [Ipv4Address("home", (10 << 24 | number).to_bytes(4, "big")) for number in range(4_000)]
        store.record([start(f"s{number}", 0, ipv4=address) for number, address in enumerate(addresses)], T)
        store.record([start("elsewhere", 0, ipv4=Ipv4Address("", ADDRESS.address), nas="gw-2")], T)
        before = store.sessions(None, 5_000)
        assert all(who_has(store, address) == ALICE for address in addresses)
        store.record([restart(1)], T)
        assert all(who_has(store, address) is Reason.SESSION_ENDED for address in addresses)
        assert store.sessions(None, 5_000) == before
        assert who_has(store, Ipv4Address("", ADDRESS.address)) == ALICE

    def test_a_restart_heard_late_spares_what_began_after_it(self, store: SessionStore) -> None:
        store.record([start("a", 0), start("b", 10, BOB, ipv4=OTHER_ADDRESS)], T)
        store.record([restart(5)], T)
        assert who_has(store) is Reason.SESSION_ENDED
        assert who_has(store, OTHER_ADDRESS) == BOB

    def test_an_older_restart_does_not_move_the_epoch_back(self, store: SessionStore) -> None:
        store.record([restart(5), restart(2), start("a", 3)], T)
        assert who_has(store) is Reason.SESSION_ENDED

    def test_a_session_id_given_again_is_a_new_session(self, store: SessionStore) -> None:
        store.record([start("a", 0), stop("a", 3), restart(5), start("a", 8, BOB)], T)
        assert who_has(store) == BOB

    def test_a_session_id_given_again_inherits_nothing(self, store: SessionStore) -> None:
        store.record([start("a", 0), restart(5), start("a", 8, None)], T)
        assert who_has(store) is Reason.NUMBER_UNKNOWN
        store.record([start("b", 0, BOB, ipv4=OTHER_ADDRESS), start("b", 8, BOB, ipv4=None)], T)
        assert who_has(store, OTHER_ADDRESS) is Reason.SESSION_ENDED

    def test_a_gateway_counts_as_heard_when_it_reports(self, store: SessionStore) -> None:
        store.record([start("a", 0), start("b", 0, nas="gw-2")], T)
        store.record([update("a", 1, None, ipv4=None)], T + 70)
        store.record([restart(1, nas="gw-2")], T + 80)
        assert {s.session.key.nas: s.nas_heard for s in store.sightings(ADDRESS)} == {"gw-1": T + 70, "gw-2": T + 80}

    # Addresses.

    def test_an_address_handed_over_after_a_lost_stop_is_the_later_ones(self, store: SessionStore) -> None:
        store.record([start("a", 0), start("b", 5, BOB)], T)
        assert who_has(store) == BOB
        store.record([stop("b", 7, BOB)], T)
        assert who_has(store) is Reason.SESSION_ENDED

    def test_two_who_both_speak_of_an_address_are_ambiguous(self, store: SessionStore) -> None:
        store.record([start("a", 0), start("b", 5, BOB), update("a", 9)], T)
        assert who_has(store) is Reason.AMBIGUOUS

    def test_a_stop_releases_only_its_own_hold(self, store: SessionStore) -> None:
        store.record([start("a", 0), start("b", 5, BOB), stop("a", 6)], T)
        assert who_has(store) == BOB

    def test_an_address_given_up_is_no_longer_held(self, store: SessionStore) -> None:
        store.record([start("a", 0), update("a", 5, ipv4=OTHER_ADDRESS)], T)
        assert who_has(store) is Reason.SESSION_ENDED
        assert who_has(store, OTHER_ADDRESS) == ALICE

    def test_secondary_bearers_share_an_address(self, store: SessionStore) -> None:
        store.record([start("a", 0), start("a2", 2)], T)
        assert len(store.sightings(ADDRESS)) == 2
        assert who_has(store) == ALICE
        store.record([stop("a2", 4)], T)
        assert who_has(store) == ALICE

    def test_realms_are_apart(self, store: SessionStore) -> None:
        elsewhere = Ipv4Address("hom", ADDRESS.address)
        store.record([start("a", 0), start("b", 0, BOB, ipv4=elsewhere)], T)
        assert (who_has(store), who_has(store, elsewhere)) == (ALICE, BOB)
        assert who_has(store, Ipv4Address("", ADDRESS.address)) is Reason.OFF_NET

    @pytest.mark.parametrize("length", [1, 32, 48, 56, 63, 64, 65, 127, 128])
    def test_an_ipv6_address_is_found_by_its_prefix(self, store: SessionStore, length: int) -> None:
        number = int.from_bytes(bytes.fromhex("20010db8aaaaaaaa5555555555555555"), "big")
        inside = prefix(f"{number >> (128 - length) << (128 - length):032x}/{length}")
        store.record([start("a", 0, ipv4=None, ipv6=(inside,))], T)
        last_bit = 1 << (128 - length)
        assert who_has(store, number.to_bytes(16, "big")) == ALICE
        assert who_has(store, (number ^ last_bit - 1).to_bytes(16, "big")) == ALICE
        assert who_has(store, (number ^ last_bit).to_bytes(16, "big")) is Reason.OFF_NET

    def test_nested_prefixes_of_two_subscribers_are_ambiguous(self, store: SessionStore) -> None:
        wide, narrow = prefix("20010db800010000/56"), prefix("20010db800010005/64")
        store.record([start("a", 0, ipv4=None, ipv6=(wide,)), start("b", 0, BOB, ipv4=None, ipv6=(narrow,))], T)
        assert who_has(store, narrow.address) is Reason.AMBIGUOUS
        assert who_has(store, wide.address) == ALICE

    def test_nested_prefixes_of_one_session_are_one_sighting(self, store: SessionStore) -> None:
        wide, narrow = prefix("20010db800010000/56"), prefix("20010db800010005/64")
        store.record([start("a", 0, ipv4=None, ipv6=(wide,)), update("a", 4, ipv4=None, ipv6=(wide, narrow))], T)
        [sighting] = store.sightings(narrow.address)
        assert (sighting.claim, sighting.held) == ((T, T + 4), True)
        assert sighting.session.ipv6 == (T + 4, (wide, narrow))

    def test_a_session_has_addresses_of_both_families(self, store: SessionStore) -> None:
        inside = prefix("20010db800010000/64")
        store.record([start("a", 0, ipv6=(inside,))], T)
        assert (who_has(store), who_has(store, inside.address)) == (ALICE, ALICE)
        store.record([update("a", 5, ipv4=None, ipv6=())], T)
        assert (who_has(store), who_has(store, inside.address)) == (ALICE, Reason.SESSION_ENDED)

    # Port blocks.

    def test_a_port_block_is_found_by_every_port_of_it(self, store: SessionStore) -> None:
        store.record([allocated((1024, 1535), 0), allocated((1536, 1536), 0, OTHER_ADDRESS)], T)
        found = {
            port: [r.block[1:] for r in store.port_blocks(PUBLIC, port)] for port in (1023, 1024, 1535, 1536, 1537)
        }
        assert found == {1023: [], 1024: [(1024, 1535)], 1535: [(1024, 1535)], 1536: [(1536, 1536)], 1537: []}
        assert not store.port_blocks(bytes((203, 0, 113, 8)), 1024)

    def test_the_whole_range_of_ports_may_be_one_block(self, store: SessionStore) -> None:
        store.record([allocated((0, 65535), 0), allocated((65535, 65535), 1), allocated((0, 0), 1)], T)
        assert [r.block[1:] for r in store.port_blocks(PUBLIC, 65535)] == [(0, 65535), (65535, 65535)]
        assert [r.block[1:] for r in store.port_blocks(PUBLIC, 1)] == [(0, 65535)]

    def test_blocks_of_all_sizes_that_contain_a_port_are_found(self, store: SessionStore) -> None:
        sizes = [(1024, 3071), (2048, 2175), (2100, 2100), (2101, 2400), (1024, 2099), (500, 9000)]
        store.record([allocated(ports, 0) for ports in sizes], T)
        found = {r.block[1:] for r in store.port_blocks(PUBLIC, 2100)}
        assert found == {(1024, 3071), (2048, 2175), (2100, 2100), (500, 9000)}

    def test_the_latest_word_on_a_port_counts(self, store: SessionStore) -> None:
        def translated() -> object:
            return private_address(store.port_blocks(PUBLIC, 1300), T + 100)

        store.record([allocated((1024, 1535), 0)], T)
        assert translated() == (ADDRESS, T)
        store.record([allocated((1280, 1407), 5, OTHER_ADDRESS)], T)
        assert translated() == (OTHER_ADDRESS, T + 5), "the release was lost"
        store.record([released((1280, 1407), 9)], T)
        assert translated() is Reason.PORT_UNASSIGNED, "the older block does not come back"
        store.record([allocated((1024, 1535), 12)], T)
        assert translated() == (ADDRESS, T + 12)
        store.record([released((1024, 1535), 3)], T)
        assert translated() == (ADDRESS, T + 12), "a late release of an earlier allocation"

    # Forgetting.

    def test_what_is_old_is_forgotten_with_its_claims(self, store: SessionStore) -> None:
        moved = update("a", 1, ipv4=OTHER_ADDRESS, ipv6=(prefix("20010db8/64"),))
        store.record([start("a", 0), moved, start("b", 2, BOB)], T)
        assert store.purge(T + 2, 10) == 1
        assert store.session(SessionKey("gw-1", "a")) is None
        assert [s.session.key.session_id for s in store.sightings(ADDRESS)] == ["b"]
        assert not store.sightings(OTHER_ADDRESS)
        assert not store.sightings(prefix("20010db8/64").address)
        assert who_has(store) == BOB

    def test_a_tombstone_is_kept_until_its_time(self, store: SessionStore) -> None:
        store.record([stop("a", 5, None, ipv4=None)], T)
        assert store.purge(T + 5, 10) == 0
        store.record([start("a", 0)], T)
        assert who_has(store) is Reason.SESSION_ENDED
        assert store.purge(T + 6, 10) == 1
        assert not store.sightings(ADDRESS)

    def test_no_more_than_asked_for_is_forgotten_at_once(self, store: SessionStore) -> None:
        store.record([start(f"s{number}", 0) for number in range(25)], T)
        left = []
        for _ in range(4):
            forgotten = store.purge(T + 1, 10)
            assert forgotten <= 10
            left.append(len(store.sessions(None, 100)))
        assert left == [15, 5, 0, 0]

    def test_forgetting_never_brings_an_older_session_back(self, store: SessionStore) -> None:
        """That "b" came later shows "z" to be over. Whichever order the engine keeps them in, "z" has to go first."""
        for session_id in ("a", "z"):
            store.record([start("m", 50, BOB), stop("m", 51, BOB), start(session_id, 0)], T)
            while store.purge(T + 60, 1):
                assert who_has(store) in (Reason.SESSION_ENDED, Reason.OFF_NET)
            assert not store.sessions(None, 10)

    def test_released_blocks_are_forgotten_and_allocated_ones_kept(self, store: SessionStore) -> None:
        store.record([allocated((1, 9), 0), released((1, 9), 5), allocated((10, 19), 0), allocated((20, 29), 9)], T)
        store.record([released((20, 29), 8)], T)
        assert store.purge(T + 5, 10) == 0
        assert store.purge(T + 6, 10) == 1
        assert [len(store.port_blocks(PUBLIC, port)) for port in (5, 15, 25)] == [0, 1, 1]

    def test_forgetting_never_brings_an_older_block_back(self, store: SessionStore) -> None:
        store.record([allocated((1000, 1999), 0), allocated((1500, 1599), 5, OTHER_ADDRESS)], T)
        store.record([released((1500, 1599), 9)], T)
        for _ in range(4):
            store.purge(T + 50, 1)
            assert private_address(store.port_blocks(PUBLIC, 1550), T + 60) is Reason.PORT_UNASSIGNED

    # Listing.

    def test_sessions_are_listed_page_by_page(self, store: SessionStore) -> None:
        keys = {SessionKey(nas, f"s{number}") for nas in ("gw-1", "gw-2", "gw-3") for number in range(7)}
        store.record([start(key.session_id, 0, nas=key.nas) for key in keys], T)
        for nas in (None, "gw-2"):
            listed: list[SessionKey] = []
            while page := store.sessions(listed[-1] if listed else None, 4, nas):
                assert len(page) <= 4
                listed += (record.key for record in page)
            assert len(listed) == len(set(listed))
            assert set(listed) == {key for key in keys if nas in (None, key.nas)}

    def test_a_page_may_begin_after_a_session_that_is_gone(self, store: SessionStore) -> None:
        store.record([start("a", 0), start("b", 9), start("c", 9)], T)
        [first, second, _] = [record.key for record in store.sessions(None, 10)]
        store.purge(T + 1, 10)
        assert [record.key for record in store.sessions(SessionKey("gw-1", "a"), 1)] == [
            second if first.session_id == "a" else first
        ]
        assert not store.sessions(None, 10, "gw-9")

    # Names.

    @pytest.mark.parametrize(
        "name", ["", "x" * 253, "\U0001f4f6" * 253, "a\0b", "\udcff\udc00", "ÿ" * 64, "ÿ" * 65], ids=range(7)
    )
    def test_any_name_will_do(self, store: SessionStore, name: str) -> None:
        address = Ipv4Address(name, ADDRESS.address)
        event = start(name, 0, Subscriber(name, name), nas=name, ipv4=address, apn=name, serving_network=name)
        store.record([event, start(name + "2", 0, BOB, nas=name, ipv4=address)], T)
        record = store.session(SessionKey(name, name))
        assert record is not None
        assert record.key == event.key
        assert (record.ipv4, record.apn) == ((T, address), (T, name))
        assert {s.session.key for s in store.sightings(address)} == {event.key, SessionKey(name, name + "2")}
        assert len(store.sessions(None, 10, name)) == 2
        [first, second] = store.sessions(None, 10)
        assert list(store.sessions(first.key, 10)) == [second]

    # Invariant 3.

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(feeds_and_disorder())
    def test_order_repetition_and_batches_do_not_matter(
        self, factory: SessionStoreFactory, feed: tuple[list[Event], list[list[Event]]]
    ) -> None:
        events, batches = feed
        assert _dump_of(factory, [events]) == _dump_of(factory, batches)

    # Together.

    def test_readers_see_a_batch_whole_or_not_at_all(self, store: SessionStore) -> None:
        """Each batch ends one session and begins the next one: at every instant exactly one has the address."""
        store.record([start("s0", 0)], T)
        strange: list[object] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                found = who_has(store)
                if found not in (ALICE, BOB):
                    strange.append(found)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for number in range(150):
            who, then = (ALICE, BOB) if number % 2 == 0 else (BOB, ALICE)
            store.record([stop(f"s{number}", number + 1, who), start(f"s{number + 1}", number + 1, then)], T)
        done.set()
        for reader in readers:
            reader.join()
        assert not strange

    def test_threads_may_write_at_once(self, store: SessionStore) -> None:
        def write(writer: int) -> None:
            for number in range(40):
                store.record([start(f"{writer}-{number}", 0), update("shared", writer * 100 + number)], T)

        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert len(store.sessions(None, 1_000)) == 161
        shared = store.session(SessionKey("gw-1", "shared"))
        assert shared is not None
        assert (shared.first_seen, shared.last_seen) == (T, T + 339)

    def test_a_usable_store_passes_the_probe(self, store: SessionStore) -> None:
        store.probe()
        store.probe()
        assert not store.sessions(None, 10)

    def test_no_event_is_no_work(self, store: SessionStore) -> None:
        store.record([], T)


def _dump_of(factory: SessionStoreFactory, batches: Sequence[Sequence[Event]]) -> object:
    store = factory()
    try:
        for number, batch in enumerate(batches):
            store.record(batch, T + number)
        return dump(store)
    finally:
        store.close()
