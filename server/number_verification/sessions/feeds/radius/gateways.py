"""The names of gateways.

A gateway has up to four identities: NAS-Identifier, NAS-IP-Address, NAS-IPv6-Address, and the address its packets come
from. RFC 2866 §4.1 asks for one of the first three, and nothing keeps a gateway from putting other ones into an
Accounting-On than into its sessions. Hence two rules:

- A session belongs to the gateway named by the first identity that its packet has, in the order above.
- An Accounting-On or -Off is about every name that a session of the same gateway may have been given: each of the
  identities that it has itself, the source address, and every name that was given to packets which share an identity
  with it and contradict it in none (to those from the same source address, if it has none of the first three).

Only the last part needs memory, which a new process does not have. What it cannot know is a gateway whose sessions have
an identity that its Accounting-On lacks, and which was not heard since the process began: its sessions then end by
being superseded or by silence.
"""

import socket
from typing import NamedTuple

from number_verification.sessions.feeds.radius.attributes import (
    MAX_NAME_LENGTH,
    NAS_IDENTIFIER,
    NAS_IP_ADDRESS,
    NAS_IPV6_ADDRESS,
    certain,
    name,
)
from number_verification.sessions.feeds.radius.outcome import MalformedPacket
from number_verification.sessions.feeds.radius.packet import Attributes


class Identities(NamedTuple):
    """What a packet says of its gateway."""

    client: str
    identifier: bytes | None
    ipv4: bytes | None
    ipv6: bytes | None
    source: str


class Gateways:
    """Names gateways, and remembers under which identities.

    Args:
        capacity: how many gateways are remembered; beyond it, those that were first named are forgotten first.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._capacity = capacity
        self._names: dict[Identities, str] = {}

    def name(self, client: str, source: str, attributes: Attributes) -> str:
        """The name of the gateway that a session's packet is about: the client's name, a slash, an identity.

        Raises:
            MalformedPacket: an identity that cannot be read, or several that differ.
        """
        identities = _identities(client, source, attributes)
        known = self._names.get(identities)
        if known is not None:
            return known
        first = _own_names(identities)[0]
        if len(self._names) >= self._capacity:
            del self._names[next(iter(self._names))]
        self._names[identities] = first
        return first

    def restarted(self, client: str, source: str, attributes: Attributes) -> list[str]:
        """Every name that sessions of the gateway may have, which a packet says has restarted.

        Raises:
            MalformedPacket: as `name`.
        """
        identities = _identities(client, source, attributes)
        names = dict.fromkeys(_own_names(identities))
        names.update((given, None) for other, given in self._names.items() if _may_be_one(identities, other))
        return list(names)


def _identities(client: str, source: str, attributes: Attributes) -> Identities:
    return Identities(
        client,
        certain(attributes, NAS_IDENTIFIER),
        certain(attributes, NAS_IP_ADDRESS),
        certain(attributes, NAS_IPV6_ADDRESS),
        source,
    )


def _own_names(identities: Identities) -> list[str]:
    texts = []
    if identities.identifier is not None:
        texts.append(name(identities.identifier))
    try:
        if identities.ipv4 is not None:
            texts.append(socket.inet_ntop(socket.AF_INET, identities.ipv4))
        if identities.ipv6 is not None:
            texts.append(socket.inet_ntop(socket.AF_INET6, identities.ipv6))
    except ValueError:
        raise MalformedPacket("not an address") from None
    names = [f"{identities.client}/{text}" for text in (*texts, identities.source)]
    if any(len(given) > MAX_NAME_LENGTH for given in names):
        raise MalformedPacket("gateway's name too long")
    return names


def _may_be_one(one: Identities, other: Identities) -> bool:
    """Whether packets with these identities may come from the same gateway; `one` is those of a restart."""
    if one.client != other.client:
        return False
    if one[1:4] == (None, None, None):
        return one.source == other.source
    pairs = [(a, b) for a, b in zip(one[1:4], other[1:4], strict=True) if a is not None and b is not None]
    return bool(pairs) and all(a == b for a, b in pairs)
