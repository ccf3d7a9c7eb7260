"""Network origin: where a request really came from."""

import enum
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple, TypeAlias

IpAddress: TypeAlias = bytes
"""4 bytes of an IPv4 address or 16 of an IPv6 address. IPv4-mapped IPv6 addresses are given as IPv4."""


class NetworkOrigin(NamedTuple):
    """The address of a device as the operator's edge saw it."""

    address: IpAddress
    port: int
    """The device's source port, 1 to 65535; 0 where it is not known."""


class Access(enum.StrEnum):
    """What kind of access an edge attests."""

    CELLULAR = "cellular"
    WLAN = "wlan"
    FIXED = "fixed"
    UNKNOWN = "unknown"


class TetheringAttestation(enum.StrEnum):
    """What an edge attests of a shared connection."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class AttestedOrigin(NamedTuple):
    """What a trusted edge says of the device behind a call."""

    origin: NetworkOrigin | None
    access: Access
    tethered: TetheringAttestation


def is_within(address: IpAddress, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of the networks. An IPv4 address is in no IPv6 network, nor the reverse."""
    bits = len(address) * 8
    number = int.from_bytes(address, "big")
    return any(
        bits == network.max_prefixlen and number & int(network.netmask) == int(network.network_address)
        for network in networks
    )
