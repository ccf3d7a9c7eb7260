"""The PROXY protocol, version 2 (HAProxy's proxy-protocol.txt, §2.2): what a proxy says before it relays."""

from typing import Final, NamedTuple

from number_verification.domain.origin import NetworkOrigin
from number_verification.domain.refusal import Reason
from number_verification.origin.address import unmapped

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"

MAX_LENGTH: Final = 4096
"""How long a header may be here, in bytes. The format would allow 65551."""

_FIXED_PART = 16
_LOCAL, _PROXY = 0x20, 0x21  # version 2 in the upper half
_ADDRESS_LENGTH = {0x11: 4, 0x21: 16}  # TCP over IPv4, TCP over IPv6
_CRC32C = 0x03


class ProxyHeader(NamedTuple):
    """A header that was read in full."""

    origin: NetworkOrigin | None
    """The source of the relayed connection. None for the proxy's own connections and for what is not TCP over IP."""
    length: int
    """How many bytes it took."""


def parse_proxy_header(data: bytes) -> ProxyHeader | Reason | None:
    """The header at the beginning of what was received so far.

    Returns:
        None if more bytes are needed; `Reason.ORIGIN_MALFORMED` as soon as no further byte can make it a header.
    """
    if not data.startswith(SIGNATURE[: len(data)]):
        return Reason.ORIGIN_MALFORMED
    if len(data) > 12 and data[12] not in (_LOCAL, _PROXY):
        return Reason.ORIGIN_MALFORMED
    if len(data) < _FIXED_PART:
        return None
    command, family = data[12], data[13]
    length = _FIXED_PART + int.from_bytes(data[14:16], "big")
    # The receiver ignores the family of a LOCAL connection, and rejects those that are not defined in any other.
    if length > MAX_LENGTH or (command == _PROXY and (family >> 4 > 3 or family & 0x0F > 2)):
        return Reason.ORIGIN_MALFORMED
    if len(data) < length:
        return None
    if command == _LOCAL or family not in _ADDRESS_LENGTH:
        return ProxyHeader(None, length)
    origin = _origin(data[:length], _ADDRESS_LENGTH[family])
    return ProxyHeader(origin, length) if origin is not None else Reason.ORIGIN_MALFORMED


def _origin(header: bytes, size: int) -> NetworkOrigin | None:
    """Source address, destination address, source port, destination port; then whatever extensions there are."""
    ports = _FIXED_PART + 2 * size
    if len(header) < ports + 4 or not _extensions_hold(header, ports + 4):
        return None
    address = header[_FIXED_PART : _FIXED_PART + size]
    return NetworkOrigin(unmapped(address), int.from_bytes(header[ports : ports + 2], "big"))


def _extensions_hold(header: bytes, position: int) -> bool:
    """Whether the extensions (type, length, value) fill the header and every checksum among them is right."""
    while position < len(header):
        value = position + 3
        end = value + int.from_bytes(header[position + 1 : value], "big")
        if end > len(header):
            return False
        if header[position] == _CRC32C:
            blanked = header[:value] + bytes(end - value) + header[end:]
            if header[value:end] != crc32c(blanked).to_bytes(4, "big"):
                return False
        position = end
    return True


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """The CRC with the Castagnoli polynomial, in the bit order of RFC 9260 Appendix A."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
