"""Network origin: where a request really came from."""

import enum
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
