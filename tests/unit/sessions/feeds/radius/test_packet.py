import hmac
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from number_verification.sessions.feeds.radius.outcome import CodeIgnored, Dropped, MalformedPacket, NotAuthentic
from number_verification.sessions.feeds.radius.packet import answer, read, read_attributes
from unit.sessions.feeds.radius.packets import (
    SECRET,
    attribute,
    is_answer_to,
    request,
    session,
    signed_request,
    status_server,
)

# Made with pyrad 2.5 (an independent implementation): Accounting-Request 42 with Acct-Status-Type Start,
# Acct-Session-Id "0001", Proxy-State "p".
GOLDEN_SECRET = b"swordfish"
GOLDEN_REQUEST = bytes.fromhex("042a0023a23a69c05eb946a5ed89558ff5ec2d1a2806000000012c0630303031210370")
GOLDEN_ANSWER = bytes.fromhex("052a001770aca7451d6e5909e761ab83f5588626210370")


def test_a_packet_of_another_implementation_is_read_and_answered_alike() -> None:
    packet = read(GOLDEN_REQUEST, GOLDEN_SECRET)
    assert packet.attributes == {40: [b"\0\0\0\x01"], 44: [b"0001"], 33: [b"p"]}
    assert answer(packet, GOLDEN_SECRET) == GOLDEN_ANSWER


def test_reads_repeated_attributes_in_order() -> None:
    packet = read(request(attribute(33, b"a") + attribute(44, b"x") + attribute(33, b"b") + attribute(33, b"")), SECRET)
    assert packet.attributes == {33: [b"a", b"b", b""], 44: [b"x"]}


def test_a_packet_without_attributes_is_a_packet() -> None:
    assert read(request(b""), SECRET).attributes == {}


def test_padding_is_ignored() -> None:
    datagram = request(session())
    assert read(datagram + b"\xff" * 40, SECRET) == read(datagram, SECRET)


def test_the_longest_packet_is_read_and_one_more_byte_is_not() -> None:
    longest = b"".join([attribute(25, bytes(253))] * 15 + [attribute(25, bytes(248))])
    assert 20 + len(longest) == 4095
    assert len(read(request(longest), SECRET).attributes[25]) == 16
    one_more = longest[:-250] + attribute(25, bytes(249))
    with pytest.raises(MalformedPacket):
        read(request(one_more), SECRET)


@pytest.mark.parametrize("length", [0, 1, 19, 21, 4096, 65535])
def test_a_length_that_does_not_fit_is_malformed(length: int) -> None:
    datagram = request(b"")
    with pytest.raises(MalformedPacket):
        read(datagram[:2] + struct.pack(">H", length) + datagram[4:], SECRET)


@pytest.mark.parametrize(
    "attributes",
    [
        b"\x2c",  # a type and no length
        b"\x2c\x00",
        b"\x2c\x01",
        b"\x2c\x03",  # one byte past the end
        b"\x2c\xff",
        attribute(44, b"x") + b"\x2c\x00\x00\x00",
    ],
)
def test_an_attribute_length_that_does_not_fit_is_malformed(attributes: bytes) -> None:
    with pytest.raises(MalformedPacket):
        read(request(attributes), SECRET)


def test_a_packet_cut_at_any_byte_is_dropped() -> None:
    datagram = signed_request(session(more=attribute(33, b"proxy")))
    for length in range(len(datagram)):
        with pytest.raises(Dropped):
            read(datagram[:length], SECRET)


def test_a_packet_cut_at_any_byte_and_made_right_again_is_read_or_malformed() -> None:
    attributes = session(more=attribute(33, b"proxy"))
    for length in range(len(attributes)):
        datagram = request(attributes[:length])
        try:
            read(datagram, SECRET)
        except MalformedPacket:
            continue
        read_attributes(attributes[:length], 0)


@given(st.binary(max_size=300))
def test_any_bytes_are_dropped(datagram: bytes) -> None:
    with pytest.raises(Dropped):
        read(datagram, SECRET)


@given(st.binary(max_size=300))
@settings(max_examples=300)
def test_any_attributes_with_a_right_authenticator_are_read_or_malformed(attributes: bytes) -> None:
    try:
        packet = read(request(attributes), SECRET)
    except MalformedPacket:
        return
    except NotAuthentic:
        assert b"\x50\x12" in attributes
        return
    assert is_answer_to(request(attributes), answer(packet, SECRET))


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_changed_bit_is_noticed(place: int, change: int) -> None:
    datagram = bytearray(request(session()))
    datagram[place % len(datagram)] ^= change
    with pytest.raises(Dropped):
        read(bytes(datagram), SECRET)


def test_another_secret_is_noticed() -> None:
    for datagram in (request(session()), signed_request(session()), status_server()):
        with pytest.raises(NotAuthentic):
            read(datagram, b"x" * 32)


def test_other_codes_are_ignored() -> None:
    for code in set(range(256)) - {4, 12}:
        with pytest.raises(CodeIgnored):
            read(request(session(), code=code), SECRET)


def test_a_message_authenticator_is_checked() -> None:
    attributes = session()
    assert 80 in read(signed_request(attributes), SECRET).attributes
    with pytest.raises(NotAuthentic):
        read(request(attributes + attribute(80, b"x" * 16)), SECRET)


def test_a_message_authenticator_is_found_wherever_it_stands() -> None:
    head = struct.pack(">BBH", 4, 1, 20 + 18 + 5)
    value = hmac.new(SECRET, head + bytes(16) + b"\x50\x12" + bytes(16) + b"\x21\x05abc", "md5").digest()
    assert read(request(b"\x50\x12" + value + b"\x21\x05abc", identifier=1), SECRET).attributes[33] == [b"abc"]


@pytest.mark.parametrize(
    "attributes", [attribute(80, b""), attribute(80, bytes(15)), attribute(80, bytes(17)), attribute(80, bytes(16)) * 2]
)
def test_a_message_authenticator_of_another_shape_is_malformed(attributes: bytes) -> None:
    with pytest.raises(MalformedPacket):
        read(request(attributes), SECRET)


def test_a_status_server_needs_a_message_authenticator() -> None:
    assert read(status_server(), SECRET).code == 12
    with pytest.raises(NotAuthentic):
        read(struct.pack(">BBH", 12, 1, 20) + b"r" * 16, SECRET)


def test_the_answer_has_every_proxy_state_in_order_and_nothing_else() -> None:
    states = [b"one", b"", b"two", b"one"]
    datagram = request(b"".join(attribute(33, state) + attribute(25, b"class") for state in states))
    response = answer(read(datagram, SECRET), SECRET)
    assert is_answer_to(datagram, response)
    assert response[20:] == b"".join(attribute(33, state) for state in states)


def test_the_answer_to_a_signed_request_is_signed() -> None:
    datagram = signed_request(attribute(33, b"state"))
    response = answer(read(datagram, SECRET), SECRET)
    assert is_answer_to(datagram, response)
    assert response[20:22] == b"\x50\x12"
    assert response[38:] == attribute(33, b"state")
    blank = response[:4] + bytes(16) + b"\x50\x12" + bytes(16) + response[38:]
    assert response[22:38] == hmac.new(SECRET, blank, "md5").digest()


def test_the_answer_to_a_status_server_is_signed_over_its_authenticator() -> None:
    datagram = status_server(authenticator=b"q" * 16)
    response = answer(read(datagram, SECRET), SECRET)
    assert is_answer_to(datagram, response)
    assert len(response) == 38
    blank = response[:4] + b"q" * 16 + b"\x50\x12" + bytes(16)
    assert response[22:38] == hmac.new(SECRET, blank, "md5").digest()


def test_a_stranger_s_attributes_are_not_looked_at() -> None:
    head = struct.pack(">BBH", 4, 1, 22)
    with pytest.raises(NotAuthentic):
        read(head + b"x" * 16 + b"\x2c\x00", SECRET)


def test_the_repr_shows_no_content() -> None:
    assert "990123" not in repr(read(request(session()), SECRET))
