"""Which address is the device's: that of the connection's peer, or that which a trusted proxy put into its header."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from number_verification.domain.origin import NetworkOrigin, is_within
from number_verification.domain.refusal import Reason
from number_verification.origin.forwarded import parse_forwarded
from number_verification.origin.x_forwarded_for import parse_x_forwarded_for


class HeaderKind(enum.StrEnum):
    """The header in which the trusted proxies name the device."""

    FORWARDED = "Forwarded"
    X_FORWARDED_FOR = "X-Forwarded-For"


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """Whom to believe about where a request came from.

    Raises:
        ValueError: there are trusted proxies, but no header in which they speak.
    """

    trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()
    """Networks of the operator's own proxies. No device may have an address in them."""
    header: HeaderKind | None = None
    """The one header that all of them write."""

    def __post_init__(self) -> None:
        if self.trusted_proxies and self.header is None:
            raise ValueError("trusted proxies need a header in which they name the device")


def resolve_origin(
    peer: NetworkOrigin, forwarded: str | None, x_forwarded_for: str | None, policy: OriginPolicy
) -> NetworkOrigin | Reason:
    """The device behind a request.

    Args:
        peer: the other end of the connection.
        forwarded: the `Forwarded` header, the values of a repeated one joined by commas; None if there is none.
        x_forwarded_for: the `X-Forwarded-For` header, likewise.
        policy: whom to believe.

    Returns:
        The peer itself, whatever it wrote, unless it is a trusted proxy. Behind a trusted proxy, what the outermost
        trusted proxy saw; `Reason.ORIGIN_MALFORMED` where the one header that counts does not name it.
    """
    if not is_within(peer.address, policy.trusted_proxies):
        return peer
    if policy.header is HeaderKind.FORWARDED:
        header, stray, parse = forwarded, x_forwarded_for, parse_forwarded
    else:
        header, stray, parse = x_forwarded_for, forwarded, parse_x_forwarded_for
    # A proxy that names nobody must not be taken for the device, and with two headers one is not the proxy's.
    elements = parse(header) if header is not None and stray is None else None
    # Each proxy appends what it saw. What stands before the word of the outermost trusted one, anybody may have put.
    for origin in reversed(elements or ()):
        if origin is None:
            break
        if not is_within(origin.address, policy.trusted_proxies):
            return origin
    return Reason.ORIGIN_MALFORMED
