"""Addresses as proxies and edges write them: `ip`, `ip:port`, `[v6]`, `[v6]:port`."""

import re
import socket

from number_verification.domain.origin import IpAddress, NetworkOrigin

# The port as in RFC 7239 §6 (up to five digits), without leading zeros. A zone id, a blank, `unknown` and the
# obfuscated identifiers of RFC 7239 §6.3 find no place in it.
_ORIGIN = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<v4>[0-9.]{7,15}))(?::(?P<port>0|[1-9][0-9]{0,4}))?"
    r"|(?P<bare_v6>[0-9A-Fa-f:.]{2,45})"
)
_MAPPED = bytes(10) + b"\xff\xff"


def parse_address(text: str) -> NetworkOrigin | None:
    """The address and port that a text stands for; None if it stands for none.

    A port that is absent or 0 is not known, and comes out as 0. IPv4-mapped IPv6 addresses come out as IPv4.
    """
    match = _ORIGIN.fullmatch(text)
    if match is None:
        return None
    v6, v4, port, bare_v6 = match.groups()
    try:
        # POSIX inet_pton takes four decimal parts without leading zeros and nothing of the older notations.
        packed = socket.inet_pton(socket.AF_INET, v4) if v4 else socket.inet_pton(socket.AF_INET6, v6 or bare_v6)
    except OSError:
        return None
    number = int(port) if port else 0
    return NetworkOrigin(unmapped(packed), number) if number <= 0xFFFF else None


def unmapped(packed: bytes) -> IpAddress:
    """A packed address, as IPv4 where it is an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2).

    A dual-stack socket names the same host in either form; two forms would let a host pass by a trust list.
    """
    return packed[12:] if len(packed) == 16 and packed.startswith(_MAPPED) else packed


def format_address(origin: NetworkOrigin) -> str:
    """The text that `parse_address` reads back: `ip:port` or `[v6]:port`, without the port where it is not known."""
    if len(origin.address) == 4:
        host = socket.inet_ntop(socket.AF_INET, origin.address)
    else:
        host = f"[{socket.inet_ntop(socket.AF_INET6, origin.address)}]"
    return f"{host}:{origin.port}" if origin.port else host
