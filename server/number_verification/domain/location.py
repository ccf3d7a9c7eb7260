"""From a device's address to the one subscriber behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple, Protocol

from number_verification.domain.attribution import (
    AttributionPolicy,
    LiveSession,
    Sighting,
    attribute,
    private_address,
)
from number_verification.domain.clock import Milliseconds
from number_verification.domain.origin import IpAddress, NetworkOrigin, is_within
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Ipv4Address, PortBlockRecord


class SessionDirectory(Protocol):
    """What locating a device needs of the session store."""

    def sightings(self, address: Ipv4Address | bytes) -> Sequence[Sighting]:
        """Every session that was seen with an address."""
        ...

    def port_blocks(self, public_address: bytes, port: int) -> Sequence[PortBlockRecord]:
        """Every port block of a public IPv4 address that contains the port."""
        ...


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """Which addresses belong to devices of the operator, and how they are to be read."""

    direct: Sequence[tuple[IPv4Network | IPv6Network, str]] = ()
    """Networks whose addresses are the devices' own, each with its address realm (empty for IPv6)."""
    translated: Sequence[IPv4Network] = ()
    """Public networks behind which CGNAT hides devices: address and port together name one."""


class LocatedDevice(NamedTuple):
    """A device whose connection stands for one live session."""

    session: LiveSession
    address: Ipv4Address | bytes
    """Its address inside the network."""


def locate(
    origin: NetworkOrigin,
    directory: SessionDirectory,
    plan: AddressPlan,
    policy: AttributionPolicy,
    now: Milliseconds,
) -> LocatedDevice | Reason:
    """The device at an address (and port), or why none may be named."""
    allocated: Milliseconds | None = None
    address = _own_address(origin.address, plan)
    if address is None and is_within(origin.address, plan.translated):
        if not origin.port:
            return Reason.PORT_MISSING
        translated = private_address(directory.port_blocks(origin.address, origin.port), now)
        if isinstance(translated, Reason):
            return translated
        address, allocated = translated
    if address is None:
        return Reason.OFF_NET
    session = still_there(address, directory, policy, now)
    if isinstance(session, Reason):
        return session
    if allocated is not None and any(allocated < record.began for record in session.sessions):
        # The block was given to whoever had the private address before: its release was lost or is late.
        return Reason.AMBIGUOUS
    return LocatedDevice(session, address)


def still_there(
    address: Ipv4Address | bytes, directory: SessionDirectory, policy: AttributionPolicy, now: Milliseconds
) -> LiveSession | Reason:
    """The live session behind an address inside the network."""
    return attribute(directory.sightings(address), policy, now)


def _own_address(address: IpAddress, plan: AddressPlan) -> Ipv4Address | bytes | None:
    for network, ip_domain in plan.direct:
        if is_within(address, (network,)):
            return Ipv4Address(ip_domain, address) if len(address) == 4 else address
    return None
