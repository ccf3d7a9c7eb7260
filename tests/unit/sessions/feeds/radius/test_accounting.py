import struct
from ipaddress import ip_network
from itertools import islice, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from number_verification.domain.session import (
    Event,
    EventKind,
    GatewayRestart,
    Ipv4Address,
    Ipv6Prefix,
    PortBlock,
    PortBlockAllocated,
    PortBlockReleased,
    SessionEvent,
    SessionKey,
    Subscriber,
)
from number_verification.sessions.feeds.radius.accounting import Accounting
from number_verification.sessions.feeds.radius.clients import RadiusClient
from number_verification.sessions.feeds.radius.outcome import MalformedPacket, OutOfWindow, TimestampMissing
from number_verification.sessions.feeds.radius.packet import read_attributes
from unit.sessions.feeds.radius.packets import (
    IMSI,
    INTERIM,
    NOW,
    OFF,
    PHONE_NUMBER,
    SECRET,
    START,
    STOP,
    attribute,
    integer,
    port_range,
    restart,
    session,
    tgpp,
)

SECOND = 1000
HOUR = 3600 * SECOND
THIS_SECOND = NOW // SECOND * SECOND
CLIENT = RadiusClient("core", ip_network("127.0.0.0/8"), SECRET)
LENIENT = RadiusClient("core", ip_network("127.0.0.0/8"), SECRET, require_event_timestamp=False)


def events(attributes: bytes, *, client: RadiusClient = CLIENT, arrival: int = NOW) -> list[Event]:
    accounting = Accounting(lambda nas, apn: f"{nas}|{apn}")
    return list(accounting.events(read_attributes(attributes, 0), client, "127.0.0.1", arrival))


def session_event(attributes: bytes, *, client: RadiusClient = CLIENT, arrival: int = NOW) -> SessionEvent:
    (event,) = events(attributes, client=client, arrival=arrival)
    assert isinstance(event, SessionEvent)
    return event


@pytest.mark.parametrize(
    ("status", "kind"), [(START, EventKind.START), (STOP, EventKind.STOP), (INTERIM, EventKind.UPDATE)]
)
def test_a_session_s_report_becomes_one_event(status: int, kind: EventKind) -> None:
    more = tgpp(18, b"99901") + attribute(97, b"\0\x40\x20\x01\x0d\xb8\0\0\0\x07")
    assert events(session(status, more=more)) == [
        SessionEvent(
            kind,
            SessionKey("core/pgw-1", "session-1"),
            NOW + (kind is EventKind.UPDATE),
            Subscriber(IMSI, PHONE_NUMBER),
            Ipv4Address("core/pgw-1|internet", b"\x0a\0\0\x01"),
            (Ipv6Prefix(bytes.fromhex("20010db8000000070000000000000000"), 64),),
            "internet",
            6,
            None,
            "99901",
        )
    ]


def test_what_was_not_reported_is_none() -> None:
    attributes = integer(40, START) + attribute(44, b"s") + attribute(32, b"n") + integer(55, NOW // SECOND)
    assert session_event(attributes) == SessionEvent(EventKind.START, SessionKey("core/n", "s"), NOW)


@pytest.mark.parametrize("status", [0, 4, 5, 6, 9, 10, 14, 15, 0xFFFFFFFF])
def test_other_status_types_have_no_effect(status: int) -> None:
    assert events(session(status)) == []


@pytest.mark.parametrize(
    "attributes",
    [
        attribute(44, b"s") + attribute(32, b"n") + integer(55, NOW // SECOND),
        attribute(40, b"\x01") + attribute(44, b"s") + attribute(32, b"n") + integer(55, NOW // SECOND),
        integer(40, START) + session(STOP),
        integer(40, START) + attribute(32, b"n") + integer(55, NOW // SECOND),
        integer(40, START) + attribute(44, b"") + attribute(32, b"n") + integer(55, NOW // SECOND),
        session(more=attribute(44, b"other")),
        session(more=attribute(32, b"other")),
        session(nas=b"n" * 250),
        session(session_id=b"\xff" * 130),
        session(more=integer(55, 5)),
        session(timestamp=None, more=attribute(55, b"\x01")),
        session(more=attribute(26, b"\0\0\x28")),
        session(more=attribute(26, struct.pack(">I", 10415) + b"\x01")),
        session(more=attribute(26, struct.pack(">I", 10415) + b"\x01\x00")),
        session(more=attribute(26, struct.pack(">I", 10415) + b"\x01\x09abc")),
        session(more=attribute(241, b"")),
        session(more=port_range(b"\x08\x01")),
        session(more=port_range(b"\x08\x20abcd")),
        restart(more=attribute(4, b"\x0a\0\0")),
        restart(more=attribute(95, b"\x0a\0\0\x01")),
    ],
)
def test_a_packet_that_cannot_be_understood_is_malformed(attributes: bytes) -> None:
    with pytest.raises(MalformedPacket):
        events(attributes)


class TestEventTime:
    def test_an_undelayed_packet_of_this_second_happened_when_it_came(self) -> None:
        assert session_event(session()).time == NOW

    def test_a_restart_and_a_start_in_one_second_keep_their_order(self) -> None:
        (on,) = [e for e in events(restart(), arrival=NOW) if e == GatewayRestart("core/pgw-1", NOW - 1)]
        assert session_event(session(), arrival=NOW).time > on.time

    def test_a_session_that_began_with_the_shutdown_is_over(self) -> None:
        assert GatewayRestart("core/pgw-1", NOW) in events(restart(OFF))

    @pytest.mark.parametrize(
        ("delay", "arrival"), [(0, NOW + 2 * SECOND), (3, NOW + 3 * SECOND), (3, NOW), (0, NOW - 900)]
    )
    def test_any_other_packet_happened_at_the_beginning_of_its_second(self, delay: int, arrival: int) -> None:
        assert session_event(session(delay=delay), arrival=arrival).time == THIS_SECOND

    def test_a_packet_that_crossed_over_to_the_next_second_happened_at_the_end_of_its_own(self) -> None:
        assert session_event(session(), arrival=THIS_SECOND + SECOND).time == THIS_SECOND + SECOND - 1

    def test_an_update_follows_a_start_of_the_same_millisecond(self) -> None:
        assert session_event(session(INTERIM)).time > session_event(session(START)).time

    @given(st.integers(1, 60), st.integers(0, 60_000))
    def test_a_delayed_repetition_is_never_later_than_the_original(self, delay: int, later: int) -> None:
        assert session_event(session(delay=delay), arrival=NOW + later).time <= NOW

    @given(st.integers(0, 60_000))
    def test_no_packet_happened_after_its_second(self, later: int) -> None:
        assert session_event(session(), arrival=NOW + later).time // SECOND == NOW // SECOND

    def test_without_a_timestamp_it_happened_the_delay_ago(self) -> None:
        attributes = session(timestamp=None, delay=7)
        assert session_event(attributes, client=LENIENT).time == NOW - 7 * SECOND
        with pytest.raises(TimestampMissing):
            events(attributes)

    @pytest.mark.parametrize("make", [session, restart])
    @pytest.mark.parametrize("shift", [-24 * 3600, 300])
    def test_within_the_window(self, make: object, shift: int) -> None:
        build = session if make is session else restart
        assert events(build(timestamp=NOW // SECOND + shift), arrival=THIS_SECOND)

    @pytest.mark.parametrize("make", [session, restart])
    @pytest.mark.parametrize("shift", [-24 * 3600 - 1, 301, -NOW // SECOND + 1, 2**32 - 1 - NOW // SECOND])
    def test_out_of_the_window(self, make: object, shift: int) -> None:
        build = session if make is session else restart
        with pytest.raises(OutOfWindow):
            events(build(timestamp=NOW // SECOND + shift), arrival=THIS_SECOND)

    def test_a_long_delay_without_timestamp_is_out_of_the_window(self) -> None:
        with pytest.raises(OutOfWindow):
            events(session(timestamp=None, delay=2**32 - 1), client=LENIENT)


class TestSubscriber:
    @pytest.mark.parametrize(
        ("msisdn", "expected"),
        [(b"990123456789", PHONE_NUMBER), (b"+990123456789", PHONE_NUMBER), (b"anonymous", ""), (b"\xff\xfe", "")],
    )
    def test_the_number(self, msisdn: bytes, expected: str) -> None:
        attributes = restart(START) + attribute(31, msisdn) + tgpp(1, IMSI.encode())
        assert session_event(attributes).subscriber == Subscriber(IMSI, expected)

    def test_numbers_that_differ_are_no_number(self) -> None:
        assert session_event(session(more=attribute(31, b"990000000001"))).subscriber == Subscriber(IMSI, "")

    def test_a_number_said_twice_is_a_number(self) -> None:
        more = attribute(31, PHONE_NUMBER[1:].encode()) + tgpp(1, IMSI.encode())
        assert session_event(session(more=more)).subscriber == Subscriber(IMSI, PHONE_NUMBER)

    @pytest.mark.parametrize("imsi", [b"999990000000001", b"", b"12"])
    def test_imsis_that_differ_are_no_imsi(self, imsi: bytes) -> None:
        assert session_event(session(more=tgpp(1, imsi))).subscriber == Subscriber("", PHONE_NUMBER)

    def test_no_subscriber(self) -> None:
        assert session_event(restart(START) + attribute(31, b"?") + tgpp(1, b"abc")).subscriber is None

    def test_several_3gpp_attributes_in_one(self) -> None:
        vendor = (
            struct.pack(">I", 10415) + attribute(21, b"\x33") + attribute(1, IMSI.encode()) + attribute(18, b"99901")
        )
        event = session_event(restart(START) + attribute(26, vendor))
        assert (event.subscriber, event.rat_type, event.serving_network) == (Subscriber(IMSI, ""), 51, "99901")

    def test_other_vendors_are_not_looked_at(self) -> None:
        more = attribute(26, struct.pack(">I", 9) + b"\x01\x00") + attribute(26, struct.pack(">I", 9))
        assert session_event(session(more=more)).subscriber == Subscriber(IMSI, PHONE_NUMBER)


class TestAddresses:
    @pytest.mark.parametrize("address", ["ffffffff", "fffffffe", "00000000", "", "0a0000", "0a00000001"])
    def test_no_ipv4_address(self, address: str) -> None:
        assert session_event(session(address=bytes.fromhex(address))).ipv4 is None

    def test_ipv4_addresses_that_differ_are_none(self) -> None:
        assert session_event(session(more=attribute(8, b"\x0a\0\0\x02"))).ipv4 is None

    def test_no_realm_no_address(self) -> None:
        accounting = Accounting(lambda *_: None)
        (event,) = accounting.events(read_attributes(session(), 0), CLIENT, "127.0.0.1", NOW)
        assert isinstance(event, SessionEvent)
        assert event.ipv4 is None

    @pytest.mark.parametrize(
        ("kind", "value", "prefix", "length"),
        [
            (97, "0040 20010db800000007", "20010db8000000070000000000000000", 64),
            (97, "0040 20010db8000000070000000000000000", "20010db8000000070000000000000000", 64),
            (97, "0040 20010db8000000070123456789abcdef", "20010db8000000070000000000000000", 64),
            (97, "0040 20010db8", "20010db8000000000000000000000000", 64),
            (97, "0038 20010db8000000ff", "20010db8000000000000000000000000", 56),
            (97, "003d 20010db80000000f", "20010db8000000080000000000000000", 61),
            (97, "003d 20010db8000000", "20010db8000000000000000000000000", 61),
            (97, "0080 20010db8000000070000000000000001", "20010db8000000070000000000000001", 128),
            (97, "0001 ff", "80000000000000000000000000000000", 1),
            (123, "0038 20010db8000001ff", "20010db8000001000000000000000000", 56),
            (168, "20010db8000000070000000000000001", "20010db8000000070000000000000001", 128),
        ],
    )
    def test_an_ipv6_prefix(self, kind: int, value: str, prefix: str, length: int) -> None:
        event = session_event(session(more=attribute(kind, bytes.fromhex(value))))
        assert event.ipv6 == (Ipv6Prefix(bytes.fromhex(prefix), length),)

    @pytest.mark.parametrize(
        ("kind", "value"),
        [(97, ""), (97, "00"), (97, "0000"), (97, "0081 20"), (97, "0040" + "20" * 17), (168, "20" * 15)],
    )
    def test_no_ipv6_prefix(self, kind: int, value: str) -> None:
        assert session_event(session(more=attribute(kind, bytes.fromhex(value)))).ipv6 is None

    def test_every_prefix_counts_in_any_order(self) -> None:
        values = [
            attribute(97, bytes.fromhex("0040 20010db800000007")),
            attribute(97, bytes.fromhex("0040 20010db800000008")),
            attribute(97, bytes.fromhex("0040 20010db800000007")),
            attribute(97, b"\0\0"),
            attribute(123, bytes.fromhex("0038 20010db8000001")),
            attribute(168, bytes.fromhex("20010db8000000090000000000000001")),
        ]
        seen = set()
        for shuffled in islice(permutations(values), 0, None, 37):
            event = session_event(session(more=b"".join(shuffled)))
            assert event.ipv6 is not None
            assert len(event.ipv6) == 4
            seen.add(event.ipv6)
        assert len(seen) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"internet", "internet"),
        (b"Internet.MNC001.MCC999.GPRS", "internet"),
        (b"ims.mnc001.mcc999.gprs.example", "ims.mnc001.mcc999.gprs.example"),
        (b"00-00-5E-00-53-01:guest", "00-00-5e-00-53-01:guest"),
        (b"", None),
        (b".mnc001.mcc999.gprs", None),
        (b"\xff", None),
        (b"inter\0net", None),
        (b"a" * 101, None),
    ],
)
def test_the_apn(value: bytes, expected: str | None) -> None:
    event = session_event(restart(START) + attribute(30, value))
    assert event.apn == expected


@pytest.mark.parametrize(("value", "expected"), [(b"\x06", 6), (b"\xff", 255), (b"", None), (b"\0\0\0\x06", None)])
def test_the_rat_type(value: bytes, expected: int | None) -> None:
    assert session_event(restart(START) + tgpp(21, value)).rat_type == expected


def test_rat_types_that_differ_are_none() -> None:
    assert session_event(session(more=tgpp(21, b"\x03"))).rat_type is None


@pytest.mark.parametrize(
    ("value", "expected"), [(b"99901", "99901"), (b"999001", "999001"), (b"9990", None), (b"9990a", None)]
)
def test_the_serving_network(value: bytes, expected: str | None) -> None:
    assert session_event(restart(START) + tgpp(18, value)).serving_network == expected


@pytest.mark.parametrize(
    ("session_id", "expected"),
    [(b"0a0B", "0a0B"), ("séance".encode(), "séance"), (b"\0\x01", "0x0001"), (b"\xff", "0xff"), (b"a\n", "0x610a")],
)
def test_a_session_id_is_kept_whatever_it_is(session_id: bytes, expected: str) -> None:
    assert session_event(session(session_id=session_id)).key.session_id == expected


class TestPortRanges:
    BLOCK = PortBlock(b"\xcb\0\x71\x07", 40000, 40127)
    TLVS = attribute(3, b"\xcb\0\x71\x07") + integer(9, 40000) + integer(10, 40127)

    def translator(self, *tlvs: bytes, more: bytes = b"") -> list[Event]:
        return events(restart(INTERIM, nas=b"nat-1", more=port_range(*tlvs) + more))

    def test_allocation_and_release(self) -> None:
        inside = attribute(4, b"\x0a\0\0\x05")
        private = Ipv4Address("core/nat-1|", b"\x0a\0\0\x05")
        allocated = PortBlockAllocated(self.BLOCK, NOW + 1, private)
        assert self.translator(integer(8, 1), self.TLVS, inside) == [allocated]
        assert self.translator(integer(8, 2), self.TLVS) == [PortBlockReleased(self.BLOCK, NOW + 1)]

    def test_a_gateway_that_translates_reports_both(self) -> None:
        more = port_range(integer(8, 1), self.TLVS) + port_range(integer(8, 2), self.TLVS)
        first, allocated, released = events(session(START, more=more))
        assert isinstance(first, SessionEvent)
        assert allocated == PortBlockAllocated(self.BLOCK, NOW, Ipv4Address("core/pgw-1|internet", b"\x0a\0\0\x01"))
        assert released == PortBlockReleased(self.BLOCK, NOW)

    @pytest.mark.parametrize("port_type", [0, 1, 2])
    def test_ranges_of_tcp_count(self, port_type: int) -> None:
        assert self.translator(integer(8, 2), self.TLVS, integer(1, port_type))

    @pytest.mark.parametrize(
        "tlvs",
        [
            TLVS,
            TLVS + integer(8, 0),
            TLVS + integer(8, 3),
            TLVS + integer(8, 1) + integer(8, 2),
            TLVS + integer(8, 1),  # nobody to give it to
            TLVS + integer(8, 1) + attribute(4, b"\x0a\0"),
            TLVS + integer(8, 2) + integer(1, 3),
            TLVS + integer(8, 2) + attribute(1, b"\x01"),
            integer(8, 2) + integer(9, 1) + integer(10, 2),
            integer(8, 2) + attribute(3, b"\xcb\0\x71\x07") + integer(9, 1),
            integer(8, 2) + attribute(3, b"\xcb\0\x71\x07") + integer(10, 1),
            integer(8, 2) + attribute(3, b"\xcb\0\x71\x07") + integer(9, 2) + integer(10, 1),
            integer(8, 2) + attribute(3, b"\xcb\0\x71\x07") + integer(9, 1) + integer(10, 65536),
            integer(8, 2) + attribute(3, b"\0\0\0\0") + integer(9, 1) + integer(10, 2),
        ],
    )
    def test_what_is_not_said_completely_is_left_out(self, tlvs: bytes) -> None:
        assert self.translator(tlvs) == []

    def test_an_unreadable_inside_address_is_not_replaced_by_another(self) -> None:
        more = attribute(8, b"\x0a\0\0\x01")
        assert self.translator(self.TLVS, integer(8, 1), attribute(4, b"\x0a\0"), more=more) == []

    def test_other_extended_attributes_are_not_looked_at(self) -> None:
        (event,) = events(session(more=attribute(241, b"\x05\x08\x00")))
        assert isinstance(event, SessionEvent)


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_any_attributes_become_events_or_malformed(noise: bytes) -> None:
    kinds = (1, 4, 8, 26, 30, 31, 32, 40, 44, 55, 95, 97, 123, 168, 241)
    values = [noise[n : n + 20] for n in range(0, len(noise), 20)]
    shaped = b"".join(attribute(kinds[v[0] % len(kinds)], v[1:]) for v in values if v)
    try:
        events(session(more=shaped))
    except MalformedPacket:
        return


def test_the_repr_of_an_event_shows_no_subscriber() -> None:
    assert "990123" not in repr(events(session()))
