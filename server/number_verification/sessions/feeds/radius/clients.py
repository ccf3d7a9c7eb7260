"""RADIUS clients: who may feed, and the secret shared with each."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

_REMEMBERED_SOURCES = 4096


@dataclass(frozen=True, slots=True)
class RadiusClient:
    """One client, or several that share a secret: all senders of one network.

    Clients of the same name are one: they may report the sessions of the same gateways.
    """

    name: str
    network: IPv4Network | IPv6Network
    secret: bytes = field(repr=False)
    require_event_timestamp: bool = True
    """Whether packets without Event-Timestamp are dropped. Without it a captured packet that is sent again cannot be
    told from a new one, since the authenticator holds no nonce."""

    def __post_init__(self) -> None:
        if not self.name or not self.secret:
            raise ValueError("a RADIUS client needs a name and a secret")


class RadiusClients:
    """Finds the client of a source address: the one of the most specific network (RFC 2865 §3).

    Raises:
        ValueError: two clients for the same network.
    """

    def __init__(self, clients: Iterable[RadiusClient]) -> None:
        self._by_network: dict[IPv4Network | IPv6Network, RadiusClient] = {}
        for client in clients:
            if client.network in self._by_network:
                raise ValueError(f"two RADIUS clients for {client.network}")
            self._by_network[client.network] = client
        self._lengths = {
            version: sorted({n.prefixlen for n in self._by_network if n.version == version}, reverse=True)
            for version in (4, 6)
        }
        self._remembered: dict[str, RadiusClient | None] = {}

    def find(self, source: str) -> RadiusClient | None:
        """The client behind a source address, None if there is none.

        Args:
            source: as a socket gives it, IPv4-mapped and with a scope included.
        """
        try:
            return self._remembered[source]
        except KeyError:
            client = self._find(source)
            # Source addresses can be forged: what is remembered of them has a bound.
            if len(self._remembered) >= _REMEMBERED_SOURCES:
                self._remembered.clear()
            self._remembered[source] = client
            return client

    def _find(self, source: str) -> RadiusClient | None:
        address = ip_address(source.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        network_class = IPv6Network if isinstance(address, IPv6Address) else IPv4Network
        for length in self._lengths[address.version]:
            client = self._by_network.get(network_class((int(address), length), strict=False))
            if client is not None:
                return client
        return None
