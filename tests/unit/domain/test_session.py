from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from conformance.events import ADDRESS, ALICE, BOB, OTHER_ADDRESS, PUBLIC, T, allocated, released, start, stop, update
from conformance.session_store import session_events
from number_verification.domain.session import (
    Claim,
    Latest,
    PortBlock,
    PortBlockAllocated,
    PortBlockRecord,
    PortBlockReleased,
    SessionEvent,
    SessionKey,
    SessionRecord,
    Subscriber,
    extended,
    joined,
    joined_block,
)

_KEY = SessionKey("gw-1", "a")
_OF_ONE_SESSION = st.lists(session_events(st.just(_KEY)), min_size=1, max_size=6)


def all_joined(events: list[SessionEvent]) -> SessionRecord | None:
    return reduce(joined, events, None)


@given(_OF_ONE_SESSION.flatmap(lambda events: st.tuples(st.just(events), st.permutations(events))))
def test_the_order_of_events_does_not_matter(orders: tuple[list[SessionEvent], list[SessionEvent]]) -> None:
    one, other = orders
    assert all_joined(one) == all_joined(other)


@given(_OF_ONE_SESSION, st.data())
def test_a_repeated_event_changes_nothing(events: list[SessionEvent], data: st.DataObject) -> None:
    again = data.draw(st.sampled_from(events))
    assert joined(all_joined(events), again) == all_joined(events)


@given(_OF_ONE_SESSION)
def test_no_instant_lies_outside_of_first_and_last_event(events: list[SessionEvent]) -> None:
    record = all_joined(events)
    assert record is not None
    registers = (
        record.imsi,
        record.phone_number,
        record.ipv4,
        record.ipv6,
        record.apn,
        record.rat_type,
        record.tethering,
    )
    instants = [register.time for register in registers if register is not None]
    instants += [instant for instant in (record.started, record.ended) if instant]
    assert all(record.first_seen <= instant <= record.last_seen for instant in instants)


def test_registers_keep_the_latest_and_instants_the_greatest() -> None:
    record = all_joined([update("a", 5, BOB), start("a", 0), stop("a", 3, None, ipv4=OTHER_ADDRESS)])
    assert record is not None
    assert (record.started, record.first_seen, record.last_seen, record.ended) == (T, T, T + 5, T + 3)
    assert (record.subscriber, record.ipv4) == (BOB, (T + 5, ADDRESS))
    assert record.began == T


def test_without_a_start_a_session_began_when_it_was_first_heard_of() -> None:
    record = all_joined([update("a", 5), update("a", 2)])
    assert record is not None
    assert (record.started, record.began) == (0, T + 2)


def test_of_two_values_at_one_instant_the_greater_counts() -> None:
    for order in ([update("a", 0, ALICE), update("a", 0, BOB)], [update("a", 0, BOB), update("a", 0, ALICE)]):
        record = all_joined(order)
        assert record is not None
        assert record.subscriber == max(ALICE, BOB)


def test_a_claim_grows_both_ways() -> None:
    assert extended(None, 5) == Claim(5, 5)
    assert extended(Claim(5, 7), 6) == Claim(5, 7)
    assert extended(Claim(5, 7), 3) == Claim(3, 7)
    assert extended(Claim(5, 7), 9) == Claim(5, 9)


@given(
    st.lists(
        st.builds(lambda at: released((1, 9), at), st.integers(0, 4))
        | st.builds(
            lambda at, private: allocated((1, 9), at, private),
            st.integers(0, 4),
            st.sampled_from((ADDRESS, OTHER_ADDRESS)),
        ),
        min_size=1,
        max_size=6,
    ).flatmap(lambda events: st.tuples(st.just(events), st.permutations(events + events[:2])))
)
def test_port_blocks_join_in_any_order(
    orders: tuple[list[PortBlockAllocated | PortBlockReleased], list[PortBlockAllocated | PortBlockReleased]],
) -> None:
    one, other = orders
    assert reduce(joined_block, one, None) == reduce(joined_block, other, None)


def test_a_port_block_keeps_its_latest_allocation_and_release() -> None:
    record = joined_block(joined_block(None, released((1, 9), 5)), allocated((1, 9), 2))
    assert record == PortBlockRecord(PortBlock(PUBLIC, 1, 9), Latest(T + 2, ADDRESS), T + 5)


def test_nothing_personal_shows_in_what_may_be_logged() -> None:
    event = start("a", 0)
    for value in (event, joined(None, event), ALICE, [event], {"event": event}):
        assert ALICE.phone_number not in repr(value)
        assert ALICE.imsi not in repr(value)


def test_a_report_of_the_number_alone_keeps_the_imsi() -> None:
    record = joined(joined(None, start("a", 0)), update("a", 5, Subscriber("", BOB.phone_number)))
    assert record.subscriber == Subscriber(ALICE.imsi, BOB.phone_number)


def test_a_report_of_the_imsi_alone_keeps_the_number() -> None:
    record = joined(joined(None, start("a", 0)), update("a", 5, Subscriber(BOB.imsi, "")))
    assert record.subscriber == Subscriber(BOB.imsi, ALICE.phone_number)
