"""The access grant: what an access token stands for."""

import enum
from typing import NamedTuple

from number_verification.domain.clock import Milliseconds
from number_verification.domain.session import Ipv4Address, SessionKey, Subscriber


class AuthenticationMethod(enum.StrEnum):
    """How the end user was authenticated; the names are those of the `amr` claim (RFC 8176 §2) where it has one."""

    NETWORK = "nba"
    """By the device's own connection to the mobile network."""
    SIM = "sim"
    """By an operator token that the SIM obtained (GSMA TS.43)."""
    OTHER = "other"
    """In a way that does not prove possession of the SIM."""


class SessionAnchor(NamedTuple):
    """The session that a network-based grant is founded on (design D4): the grant lives no longer than it."""

    key: SessionKey
    began: Milliseconds
    subscriber: Subscriber
    address: Ipv4Address | bytes
    """The device's address inside the network: IPv4 in its realm, or the 16 bytes of an IPv6 address."""


class AccessGrant(NamedTuple):
    """What an access token stands for. It serves one call."""

    client_id: str
    scopes: frozenset[str]
    purpose: str
    method: AuthenticationMethod
    authenticated_at: Milliseconds
    issued_at: Milliseconds
    expires_at: Milliseconds
    anchor: SessionAnchor | None = None
    """For grants of our own network-based authentication."""
    phone_number: str = ""
    """For grants of a trusted external issuer: the number that it vouches for."""
    application: str = ""
    customer: str = ""
    channel_partner: str = ""
    """Resource names, as they stood when the token was issued; empty where the registry does not know them."""

    def __repr__(self) -> str:
        return f"AccessGrant(client_id={self.client_id!r}, method={self.method.value}, …)"
