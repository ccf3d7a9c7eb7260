"""Attributes of accounting packets: their numbers, and how their values are read.

A value that cannot be read, and one that is there twice and differs, counts as not reported: whatever is not certain is
left out (design D5). Only what a packet cannot be understood without makes the packet malformed.
"""

import re
from functools import lru_cache

from number_verification.domain.session import Ipv6Prefix
from number_verification.sessions.feeds.radius.outcome import MalformedPacket
from number_verification.sessions.feeds.radius.packet import Attributes, read_attributes

# RFC 2865 §5, RFC 2866 §5, RFC 2869 §5.3 (55), RFC 3162 §2 (95, 97), RFC 4818 §3 (123), RFC 6911 §3.1 (168).
NAS_IP_ADDRESS = 4
FRAMED_IP_ADDRESS = 8
VENDOR_SPECIFIC = 26
CALLED_STATION_ID = 30
CALLING_STATION_ID = 31
NAS_IDENTIFIER = 32
ACCT_STATUS_TYPE = 40
ACCT_DELAY_TIME = 41
ACCT_SESSION_ID = 44
EVENT_TIMESTAMP = 55
NAS_IPV6_ADDRESS = 95
FRAMED_IPV6_PREFIX = 97
DELEGATED_IPV6_PREFIX = 123
FRAMED_IPV6_ADDRESS = 168
EXTENDED_1 = 241
"""RFC 6929 §3.1: the first byte of the value is the rest of the attribute's number."""

# 3GPP TS 29.061 §16.4.7.
_VENDOR_3GPP = (10415).to_bytes(4, "big")
TGPP_IMSI = 1
TGPP_SGSN_MCC_MNC = 18
TGPP_RAT_TYPE = 21

# RFC 8045 §3.2.
_IP_PORT_RANGE = 6
IP_PORT_TYPE = 1
IP_PORT_EXT_IPV4_ADDR = 3
IP_PORT_INT_IPV4_ADDR = 4
IP_PORT_ALLOC = 8
IP_PORT_RANGE_START = 9
IP_PORT_RANGE_END = 10

MAX_NAME_LENGTH = 253
"""The contract's bound on the names of gateways and sessions, in characters."""

_NO_ADDRESS = frozenset({bytes(4), b"\xff\xff\xff\xfe", b"\xff\xff\xff\xff"})
_IMSI = re.compile(r"[0-9]{5,15}")
_NETWORK = re.compile(r"[0-9]{5,6}")
_OPERATOR_IDENTIFIER = re.compile(r"\.mnc[0-9]{3}\.mcc[0-9]{3}\.gprs$")
_MAX_APN_LENGTH = 100


def single(attributes: Attributes, kind: int) -> bytes | None:
    """The attribute's value; None if there is none, or several that differ."""
    values = attributes.get(kind)
    if values is None:
        return None
    return values[0] if len(values) == 1 or values.count(values[0]) == len(values) else None


def certain(attributes: Attributes, kind: int) -> bytes | None:
    """The value of an attribute that the packet cannot be understood without; None if there is none.

    Raises:
        MalformedPacket: several values that differ.
    """
    value = single(attributes, kind)
    if value is None and kind in attributes:
        raise MalformedPacket("values that differ")
    return value


def certain_integer(attributes: Attributes, kind: int) -> int | None:
    """An unsigned integer of 32 bits that the packet cannot be understood without; None if there is none.

    Raises:
        MalformedPacket: several values that differ, or one that is not of four bytes.
    """
    value = certain(attributes, kind)
    if value is None:
        return None
    if len(value) != 4:
        raise MalformedPacket("not an integer")
    return int.from_bytes(value, "big")


def integer(attributes: Attributes, kind: int) -> int | None:
    """An unsigned integer of 32 bits; None if there is none that can be read."""
    value = single(attributes, kind)
    return int.from_bytes(value, "big") if value is not None and len(value) == 4 else None


def name(value: bytes) -> str:
    """A name that a gateway chose, as text. Bytes that are no printable text are written in hexadecimal.

    Raises:
        MalformedPacket: no bytes, or more than a name may have.
    """
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text:
        text = "0x" + value.hex()
    if not value or len(text) > MAX_NAME_LENGTH:
        raise MalformedPacket("not a name")
    return text


def text(attributes: Attributes, kind: int) -> str:
    """The attribute's text; empty if there is none that can be read."""
    value = single(attributes, kind)
    try:
        return value.decode("ascii") if value else ""
    except UnicodeDecodeError:
        return ""


def ipv4(attributes: Attributes, kind: int) -> bytes | None:
    """An IPv4 address; None if there is none that can be read, or one that says "none yet" (RFC 2865 §5.8)."""
    value = single(attributes, kind)
    return value if value is not None and len(value) == 4 and value not in _NO_ADDRESS else None


def ipv6_prefixes(attributes: Attributes) -> tuple[Ipv6Prefix, ...] | None:
    """Every IPv6 prefix and address that was reported, in one order whatever the packet's; None if there is none.

    Framed-Interface-Id is not looked at: the whole prefix is the device's, which makes its own interface identifiers
    (RFC 6459 §5.2).
    """
    found = {Ipv6Prefix(value, 128) for value in attributes.get(FRAMED_IPV6_ADDRESS, ()) if len(value) == 16}
    for kind in (FRAMED_IPV6_PREFIX, DELEGATED_IPV6_PREFIX):
        for value in attributes.get(kind, ()):
            prefix = _ipv6_prefix(value)
            if prefix is not None:
                found.add(prefix)
    return tuple(sorted(found)) if found else None


def _ipv6_prefix(value: bytes) -> Ipv6Prefix | None:
    # RFC 3162 §2.3: a reserved byte, the length in bits, and as many bytes of the prefix as the gateway cares to send.
    if not 2 <= len(value) <= 18 or not 1 <= value[1] <= 128:
        return None
    length = value[1]
    whole, bits = divmod(length, 8)
    prefix = value[2 : 2 + whole]
    if bits and len(value) > 2 + whole:
        prefix += bytes((value[2 + whole] & (0xFF00 >> bits) & 0xFF,))
    return Ipv6Prefix(prefix.ljust(16, b"\0"), length)


def imsi(attributes: Attributes) -> str:
    """3GPP-IMSI; empty if there is none that can be read."""
    digits = text(attributes, TGPP_IMSI)
    return digits if _IMSI.fullmatch(digits) else ""


def serving_network(attributes: Attributes) -> str | None:
    """MCC and MNC of the network that serves the device (3GPP-SGSN-MCC-MNC)."""
    digits = text(attributes, TGPP_SGSN_MCC_MNC)
    return digits if _NETWORK.fullmatch(digits) else None


def rat_type(attributes: Attributes) -> int | None:
    """3GPP-RAT-Type: one byte."""
    value = single(attributes, TGPP_RAT_TYPE)
    return value[0] if value is not None and len(value) == 1 else None


def apn(attributes: Attributes) -> str | None:
    """The APN in lower case, without its operator identifier (3GPP TS 23.003 §9.1)."""
    value = single(attributes, CALLED_STATION_ID)
    return _apn(value) if value else None


@lru_cache(maxsize=1024)
def _apn(value: bytes) -> str | None:
    try:
        text = value.decode("ascii").lower()
    except UnicodeDecodeError:
        return None
    if not text.isprintable() or len(text) > _MAX_APN_LENGTH:
        return None
    return _OPERATOR_IDENTIFIER.sub("", text) or None


def of_3gpp(attributes: Attributes) -> Attributes:
    """The attributes of 3GPP. A gateway may put several into one Vendor-Specific attribute (RFC 2865 §5.26).

    Raises:
        MalformedPacket: a Vendor-Specific attribute that is too short, or one of 3GPP with lengths that do not fit.
    """
    found: Attributes = {}
    for value in attributes.get(VENDOR_SPECIFIC, ()):
        if len(value) < 4:
            raise MalformedPacket("no vendor")
        if not value.startswith(_VENDOR_3GPP):
            continue
        if len(value) > 5 and value[5] == len(value) - 4:
            # Nearly every gateway sends one by one; this is a tenth of what a packet costs.
            found.setdefault(value[4], []).append(value[6:])
        else:
            for kind, values in read_attributes(value, 4).items():
                found.setdefault(kind, []).extend(values)
    return found


def port_ranges(attributes: Attributes) -> list[Attributes]:
    """The TLVs of every IP-Port-Range (RFC 8045 §3.1.2).

    Raises:
        MalformedPacket: an extended attribute without its number, or TLVs with lengths that do not fit.
    """
    found = []
    for value in attributes.get(EXTENDED_1, ()):
        if not value:
            raise MalformedPacket("no extended type")
        if value[0] == _IP_PORT_RANGE:
            found.append(read_attributes(value, 1))
    return found
