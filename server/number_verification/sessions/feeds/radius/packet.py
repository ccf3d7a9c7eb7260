"""The RADIUS packet: bytes to attributes, authenticity, and the answer. Pure: no sockets, no clock, no state."""

import hashlib
import hmac
from typing import NamedTuple, TypeAlias

from number_verification.sessions.feeds.radius.outcome import CodeIgnored, MalformedPacket, NotAuthentic

ACCOUNTING_REQUEST = 4
ACCOUNTING_RESPONSE = 5
STATUS_SERVER = 12

MAX_LENGTH = 4095
"""RFC 2866 §3."""

HEADER_LENGTH = 20
_PROXY_STATE = 33
_MESSAGE_AUTHENTICATOR = 80
_ZEROES = bytes(16)
_EMPTY_MESSAGE_AUTHENTICATOR = bytes((_MESSAGE_AUTHENTICATOR, 18)) + _ZEROES

Attributes: TypeAlias = dict[int, list[bytes]]
"""The values of each attribute by its type, in the order of the packet."""


class Packet(NamedTuple):
    """A request that was made with the client's secret."""

    code: int
    header: bytes
    """The first 20 bytes: code, identifier, length, Request Authenticator."""
    attributes: Attributes

    def __repr__(self) -> str:
        return f"Packet(code={self.code}, …)"


def read(datagram: bytes, secret: bytes) -> Packet:
    """The request in a datagram.

    What lies past the packet's Length is padding (RFC 2866 §3). The attributes of an Accounting-Request are looked at
    only after its authenticator was found right, so that a stranger's bytes cost one hash and no more.

    Raises:
        MalformedPacket: lengths that do not fit, of the packet or of an attribute.
        CodeIgnored: neither Accounting-Request nor Status-Server.
        NotAuthentic: an authenticator that is wrong, or a Status-Server without Message-Authenticator (RFC 5997 §3).
    """
    if len(datagram) < HEADER_LENGTH:
        raise MalformedPacket("shorter than a header")
    code = datagram[0]
    length = int.from_bytes(datagram[2:4], "big")
    if not HEADER_LENGTH <= length <= MAX_LENGTH or length > len(datagram):
        raise MalformedPacket("length out of bounds")
    raw = datagram[:length]
    header = raw[:HEADER_LENGTH]
    if code == ACCOUNTING_REQUEST:
        if not hmac.compare_digest(_md5(raw[:4] + _ZEROES + raw[20:] + secret), header[4:]):
            raise NotAuthentic
    elif code != STATUS_SERVER:
        raise CodeIgnored
    packet = Packet(code, header, read_attributes(raw, HEADER_LENGTH))
    if _MESSAGE_AUTHENTICATOR in packet.attributes:
        _check_message_authenticator(packet, raw, secret)
    elif code == STATUS_SERVER:
        raise NotAuthentic
    return packet


def read_attributes(data: bytes, start: int) -> Attributes:
    """The attributes from `start` to the end of the data: one byte of type, one of length (both included), a value.

    Sub-attributes of vendors (RFC 2865 §5.26) and TLVs (RFC 6929 §2.3) have the same form.

    Raises:
        MalformedPacket: a length of 0 or 1, or past the end.
    """
    found: Attributes = {}
    end = len(data)
    while start < end:
        if start + 2 > end:
            raise MalformedPacket("attribute cut off")
        stop = start + data[start + 1]
        if stop < start + 2 or stop > end:
            raise MalformedPacket("attribute length out of bounds")
        kind = data[start]
        if kind in found:
            found[kind].append(data[start + 2 : stop])
        else:
            found[kind] = [data[start + 2 : stop]]
        start = stop
    return found


def answer(request: Packet, secret: bytes) -> bytes:
    """The Accounting-Response: every Proxy-State in its order (RFC 2865 §5.33), nothing else of the request.

    A request with Message-Authenticator is answered with one.
    """
    attributes = b"".join(
        bytes((_PROXY_STATE, len(value) + 2)) + value for value in request.attributes.get(_PROXY_STATE, ())
    )
    if _MESSAGE_AUTHENTICATOR in request.attributes:
        attributes = _EMPTY_MESSAGE_AUTHENTICATOR + attributes
        head = _response_head(request, attributes)
        value = hmac.digest(secret, head + _message_authenticator_vector(request) + attributes, "md5")
        attributes = attributes[:2] + value + attributes[18:]
    else:
        head = _response_head(request, attributes)
    return head + _md5(head + request.header[4:] + attributes + secret) + attributes


def _response_head(request: Packet, attributes: bytes) -> bytes:
    length = HEADER_LENGTH + len(attributes)
    return bytes((ACCOUNTING_RESPONSE, request.header[1])) + length.to_bytes(2, "big")


def _check_message_authenticator(packet: Packet, raw: bytes, secret: bytes) -> None:
    values = packet.attributes[_MESSAGE_AUTHENTICATOR]
    if len(values) != 1 or len(values[0]) != 16:
        raise MalformedPacket("not one Message-Authenticator of 16 bytes")
    place = HEADER_LENGTH
    while raw[place] != _MESSAGE_AUTHENTICATOR:
        place += raw[place + 1]
    blanked = raw[HEADER_LENGTH : place + 2] + _ZEROES + raw[place + 18 :]
    expected = hmac.digest(secret, raw[:4] + _message_authenticator_vector(packet) + blanked, "md5")
    if not hmac.compare_digest(expected, values[0]):
        raise NotAuthentic


def _message_authenticator_vector(request: Packet) -> bytes:
    """What stands in for the authenticator of a request, and of its response, under Message-Authenticator.

    Status-Server carries random bytes there, as Access-Request does (RFC 5997 §3); the authenticator of an
    Accounting-Request is not known yet when the attribute is computed, hence zeroes (RFC 5176 §3.4 does the same).
    No RFC settles the Accounting-Response; this is what FreeRADIUS and pyrad expect.
    """
    return request.header[4:] if request.code == STATUS_SERVER else _ZEROES


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
