"""What an edge of the operator attests of the device behind a call, in the contract's origin metadata."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from number_verification.domain.origin import Access, AttestedOrigin, IpAddress, TetheringAttestation, is_within
from number_verification.domain.refusal import Reason
from number_verification.origin.address import parse_address

PREFIX: Final = "x-network-origin-"
"""With what the name of every piece of origin metadata begins. Whoever is no trusted edge may send none."""


def parse_attestation(metadata: Iterable[tuple[str, str | bytes]]) -> AttestedOrigin | Reason | None:
    """What is attested.

    Args:
        metadata: all of a call's metadata, names in lower case, values that were sent twice twice.

    Returns:
        None if nothing is attested; `Reason.ORIGIN_MALFORMED` for anything sent twice, not in the contract, or with
        a value that is not. What is left out of an attestation is unknown.
    """
    values: dict[str, str] = {}
    for name, value in metadata:
        if name.startswith(PREFIX):
            if name in values or isinstance(value, bytes):
                return Reason.ORIGIN_MALFORMED
            values[name] = value
    if not values:
        return None
    address = values.pop(PREFIX + "address", None)
    access = values.pop(PREFIX + "access", Access.UNKNOWN)
    tethered = values.pop(PREFIX + "tethered", TetheringAttestation.UNKNOWN)
    origin = parse_address(address) if address is not None else None
    if values or (origin is None and address is not None):
        return Reason.ORIGIN_MALFORMED
    try:
        return AttestedOrigin(origin, Access(access), TetheringAttestation(tethered))
    except ValueError:
        return Reason.ORIGIN_MALFORMED


@dataclass(frozen=True, slots=True)
class TrustedEdges:
    """Whose origin metadata is believed."""

    networks: Sequence[IPv4Network | IPv6Network] = ()
    """Addresses from which edges connect."""
    identities: frozenset[str] = frozenset()
    """Names in edges' client certificates: subject alternative names or common names, by exact match."""


def is_trusted_edge(peer_address: IpAddress | None, identities: Iterable[str], edges: TrustedEdges) -> bool:
    """Whether a caller may attest where a device is.

    Args:
        peer_address: the address of the connection's other end; None where it has none (a Unix socket).
        identities: the names in the client certificate that the TLS layer has verified; none without one.
        edges: who may.
    """
    if peer_address is not None and is_within(peer_address, edges.networks):
        return True
    return not edges.identities.isdisjoint(identities)
