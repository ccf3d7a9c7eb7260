"""Packets as a gateway makes them, computed here by hand and not by the code under test."""

import hashlib
import hmac
import struct

SECRET = b"0123456789abcdef0123456789abcdef"
PHONE_NUMBER = "+990123456789"
IMSI = "999990123456789"
NOW = 1_750_000_000_250
"""An arrival, a quarter into its second."""

START, STOP, INTERIM, ON, OFF = 1, 2, 3, 7, 8


def attribute(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


def integer(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value))


def tgpp(kind: int, value: bytes) -> bytes:
    return attribute(26, struct.pack(">I", 10415) + attribute(kind, value))


def port_range(*tlvs: bytes) -> bytes:
    return attribute(241, b"\x06" + b"".join(tlvs))


def request(attributes: bytes, *, identifier: int = 7, secret: bytes = SECRET, code: int = 4) -> bytes:
    """RFC 2866 §3: the authenticator is the MD5 of the packet with zeroes in its place, and the secret."""
    head = struct.pack(">BBH", code, identifier, 20 + len(attributes))
    digest = hashlib.md5(head + bytes(16) + attributes + secret, usedforsecurity=False).digest()
    return head + digest + attributes


def status_server(*, identifier: int = 9, secret: bytes = SECRET, authenticator: bytes = b"r" * 16) -> bytes:
    """RFC 5997 §3: random authenticator, HMAC-MD5 over the packet with the Message-Authenticator zeroed."""
    head = struct.pack(">BBH", 12, identifier, 38)
    value = hmac.new(secret, head + authenticator + b"\x50\x12" + bytes(16), "md5").digest()
    return head + authenticator + b"\x50\x12" + value


def signed_request(attributes: bytes, *, identifier: int = 7, secret: bytes = SECRET) -> bytes:
    """An Accounting-Request with a Message-Authenticator, which is computed first and over zeroes."""
    head = struct.pack(">BBH", 4, identifier, 38 + len(attributes))
    value = hmac.new(secret, head + bytes(16) + attributes + b"\x50\x12" + bytes(16), "md5").digest()
    return request(attributes + b"\x50\x12" + value, identifier=identifier, secret=secret)


def is_answer_to(datagram: bytes, answer: bytes, *, secret: bytes = SECRET) -> bool:
    """RFC 2866 §3: the Response Authenticator is the MD5 of the answer with the request's in its place."""
    expected = hashlib.md5(answer[:4] + datagram[4:20] + answer[20:] + secret, usedforsecurity=False).digest()
    return answer[0] == 5 and answer[1] == datagram[1] and answer[4:20] == expected


def session(
    status: int = START,
    *,
    session_id: bytes = b"session-1",
    timestamp: int | None = NOW // 1000,
    delay: int = 0,
    address: bytes | None = b"\x0a\x00\x00\x01",
    nas: bytes = b"pgw-1",
    more: bytes = b"",
) -> bytes:
    """The attributes of a session's report."""
    return b"".join(
        (
            integer(40, status),
            attribute(44, session_id),
            attribute(32, nas),
            attribute(31, PHONE_NUMBER[1:].encode()),
            attribute(30, b"internet"),
            tgpp(1, IMSI.encode()),
            tgpp(21, b"\x06"),
            integer(41, delay),
            integer(55, timestamp) if timestamp is not None else b"",
            attribute(8, address) if address is not None else b"",
            more,
        )
    )


def restart(status: int = ON, *, timestamp: int = NOW // 1000, nas: bytes = b"pgw-1", more: bytes = b"") -> bytes:
    """The attributes of an Accounting-On or -Off."""
    return integer(40, status) + integer(55, timestamp) + attribute(44, b"0") + attribute(32, nas) + more
