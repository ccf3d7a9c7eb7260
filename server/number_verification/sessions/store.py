"""What a session store must do. The docstrings are the contract; `tests/conformance` holds every engine to it."""

from collections.abc import Sequence
from typing import Protocol

from number_verification.domain.attribution import Sighting
from number_verification.domain.clock import Milliseconds
from number_verification.domain.session import (
    Event,
    Ipv4Address,
    PortBlockRecord,
    SessionKey,
    SessionRecord,
)


class SessionStore(Protocol):
    """Keeps sessions, the addresses they were seen with, port blocks and gateways. Safe for threads and processes."""

    def record(self, events: Sequence[Event], received: Milliseconds) -> None:
        """Join the events into what is stored, all of them or none.

        When it returns, they are durable: they survive the death of the process and of the machine. The gateways of
        session events and restarts count as heard at `received`. The same events in any order, and again, leave the
        same state.

        Raises:
            StoreFull: there is no room; nothing was recorded.
            StoreUnavailable: the store cannot be written; nothing was recorded.
        """
        ...

    def sightings(self, address: Ipv4Address | bytes) -> Sequence[Sighting]:
        """Every session that was seen with an address, ended ones included, as one consistent view.

        An IPv6 address is given as its 16 bytes and found by every prefix that contains it.
        """
        ...

    def port_blocks(self, public_address: bytes, port: int) -> Sequence[PortBlockRecord]:
        """Every port block of a public IPv4 address (4 bytes) that contains the port (1 to 65535)."""
        ...

    def session(self, key: SessionKey) -> SessionRecord | None:
        """One session, ended ones included."""
        ...

    def sessions(self, after: SessionKey | None, limit: int, nas: str | None = None) -> Sequence[SessionRecord]:
        """Up to `limit` sessions with keys greater than `after`, in the order of the engine's keys."""
        ...

    def purge(self, before: Milliseconds, limit: int) -> int:
        """Forget up to `limit` sessions and released port blocks whose last event is older than `before`.

        Feeds refuse events that old, so that nothing forgotten comes back to life. Returns how many were forgotten.
        """
        ...

    def probe(self) -> None:
        """Write and read something durable, or raise as `record` does: whether the store is usable."""
        ...

    def close(self) -> None:
        """Release what the store holds. Nothing may be called after it."""
        ...
