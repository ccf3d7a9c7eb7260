"""PROXY protocol v2 headers."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.origin import NetworkOrigin
from number_verification.domain.refusal import Reason
from number_verification.origin.address import parse_address, unmapped
from number_verification.origin.proxy_protocol import MAX_LENGTH, SIGNATURE, ProxyHeader, crc32c, parse_proxy_header

V4_BLOCK = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + struct.pack("!HH", 40001, 443)
V6_BLOCK = bytes.fromhex("20010db8000000000000000000000001" * 2) + struct.pack("!HH", 4711, 443)
DEVICE = parse_address("203.0.113.7:40001")
V6_DEVICE = parse_address("[2001:db8::1]:4711")


def header(block: bytes, family: int = 0x11, command: int = 0x21) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def checked(block: bytes, family: int = 0x11) -> bytes:
    """A header that ends with its own checksum."""
    blank = header(block + tlv(3, bytes(4)), family)
    return blank[:-4] + struct.pack("!I", crc32c(blank))


@pytest.mark.parametrize(
    ("data", "origin"),
    [
        (header(V4_BLOCK), DEVICE),
        (header(V6_BLOCK, 0x21), V6_DEVICE),
        (header(V4_BLOCK[:8] + struct.pack("!HH", 0, 443)), parse_address("203.0.113.7")),
        (header(bytes.fromhex("00000000000000000000ffffcb007107" * 2) + b"\x9c\x41\1\xbb", 0x21), DEVICE),
        (header(V4_BLOCK + tlv(1, b"http/1.1") + tlv(4, b"") + tlv(0xEA, b"\1vpce")), DEVICE),
        (checked(V4_BLOCK), DEVICE),
        (checked(V6_BLOCK + tlv(4, b"abc"), 0x21), V6_DEVICE),
        (header(V4_BLOCK + tlv(4, bytes(MAX_LENGTH - 16 - 12 - 3))), DEVICE),
        # Of the proxy's own, or of no kind that has an origin.
        (header(b"", 0x00, 0x20), None),
        (header(V4_BLOCK, 0x11, 0x20), None),
        (header(b"anything", 0xFF, 0x20), None),
        (header(b"", 0x00), None),
        (header(V4_BLOCK, 0x00), None),
        (header(V4_BLOCK, 0x10), None),
        (header(V4_BLOCK, 0x12), None),
        (header(V6_BLOCK, 0x22), None),
        (header(bytes(216), 0x31), None),
        (header(bytes(216), 0x32), None),
    ],
)
def test_header_is_read_and_nothing_after_it(data: bytes, origin: NetworkOrigin | None) -> None:
    assert parse_proxy_header(data) == ProxyHeader(origin, len(data))
    assert parse_proxy_header(data + b"GET / HTTP/1.1\r\n") == ProxyHeader(origin, len(data))
    for cut in range(len(data)):
        assert parse_proxy_header(data[:cut]) is None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 40001 443\r\n",
        b"\x16\x03\x01",
        SIGNATURE[:-1] + b"\r",
        SIGNATURE + b"\x11",
        SIGNATURE + b"\x31",
        SIGNATURE + b"\x22",
        header(V4_BLOCK, 0x41),
        header(V4_BLOCK, 0x13),
        header(V4_BLOCK[:-1]),
        header(b""),
        header(V6_BLOCK[:-1], 0x21),
        header(V4_BLOCK, 0x21),
        header(V4_BLOCK + b"\4"),
        header(V4_BLOCK + b"\4\0"),
        header(V4_BLOCK + b"\4\0\1"),
        header(V4_BLOCK + tlv(4, b"abc")[:-1]),
        header(V4_BLOCK + tlv(3, b"")),
        header(V4_BLOCK + tlv(3, bytes(4))),
        header(V4_BLOCK + tlv(3, bytes(5))),
        header(V4_BLOCK + tlv(4, bytes(MAX_LENGTH - 16 - 12 - 2))),
        SIGNATURE + b"\x21\x11\xff\xff",
        SIGNATURE + b"\x20\x00\xff\xff",
    ],
)
def test_malformed(data: bytes) -> None:
    assert parse_proxy_header(data) is Reason.ORIGIN_MALFORMED


def test_any_change_under_a_checksum_is_seen() -> None:
    data = checked(V4_BLOCK + tlv(4, b"padding"))
    addresses_and_padding, checksum = range(16, len(data) - 7), range(len(data) - 4, len(data))
    for position in [*addresses_and_padding, *checksum]:
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            assert parse_proxy_header(bytes(changed)) is Reason.ORIGIN_MALFORMED


@pytest.mark.parametrize(
    ("data", "crc"),
    [  # RFC 3720 Appendix B.4, and the usual check value
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_crc32c_vectors(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc


@pytest.mark.parametrize(
    ("captured", "origin"),
    [  # HAProxy 2.6.12 with `send-proxy-v2 proxy-v2-options crc32c,unique-id check-send-proxy`
        ("0d0a0d0a000d0a515549540a20000007030004a9b87e8f", None),
        ("0d0a0d0a000d0a515549540a211100167f0100017f000001bc959f190300043cbcfef4050000", "127.1.0.1:48277"),
        (
            f"0d0a0d0a000d0a515549540a2121002e{'00' * 15}01{'00' * 15}01a83e9f1903000423e9cc9a050000",
            "[::1]:43070",
        ),
    ],
)
def test_headers_captured_from_haproxy(captured: str, origin: str | None) -> None:
    data = bytes.fromhex(captured)
    assert parse_proxy_header(data) == ProxyHeader(parse_address(origin) if origin else None, len(data))


@given(st.binary(max_size=64), st.sampled_from([b"", SIGNATURE, SIGNATURE + b"\x21", SIGNATURE + b"\x21\x11\0\x20"]))
def test_arbitrary_bytes_are_a_header_or_malformed_or_too_few(tail: bytes, start: bytes) -> None:
    data = start + tail
    parsed = parse_proxy_header(data)
    if parsed is None:
        assert len(data) < 16 + 0xFFFF
    elif isinstance(parsed, ProxyHeader):
        assert 16 <= parsed.length <= len(data)
    else:
        assert parsed is Reason.ORIGIN_MALFORMED


@given(st.binary(min_size=16, max_size=16), st.integers(0, 0xFFFF), st.lists(st.binary(max_size=20), max_size=5))
def test_round_trip(address: bytes, port: int, values: list[bytes]) -> None:
    extensions = b"".join(tlv(0xE0, value) for value in values)
    data = checked(address + bytes(16) + struct.pack("!HH", port, 443) + extensions, 0x21)
    assert parse_proxy_header(data) == ProxyHeader(NetworkOrigin(unmapped(address), port), len(data))
    v4 = checked(address[:4] + bytes(4) + struct.pack("!HH", port, 443) + extensions)
    assert parse_proxy_header(v4) == ProxyHeader(NetworkOrigin(address[:4], port), len(v4))
