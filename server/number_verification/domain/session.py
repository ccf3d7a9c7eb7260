"""What the mobile core reports, and how reports add up to a session.

Reports come late, twice and in any order (RFC 2866 §2: a client repeats a report until it is acknowledged). A session
is therefore not overwritten by events but *joined* with them: every part of a `SessionRecord` is a register whose merge
is commutative, associative and idempotent (the greatest, the least, or the latest value by event time). Any order and
any repetition of the same events leaves the same record (invariant 3), because no merge depends on what came before.
"""

import enum
from typing import Generic, NamedTuple, TypeVar

from number_verification.domain.clock import Milliseconds

T = TypeVar("T")


class SessionKey(NamedTuple):
    """What names a session: the gateway that reports it, and the gateway's own identifier (Acct-Session-Id)."""

    nas: str
    session_id: str


class EventKind(enum.IntEnum):
    """What happened to a session; numbered as Acct-Status-Type (RFC 2866 §5.1)."""

    START = 1
    STOP = 2
    UPDATE = 3


class Tethering(enum.IntEnum):
    """What a gateway knows of a shared connection."""

    NO = 1
    YES = 2
    UNKNOWN = 3


class Subscriber(NamedTuple):
    """Who holds the SIM. An IMSI or a number that was not reported is empty."""

    imsi: str
    phone_number: str

    def __repr__(self) -> str:
        return "Subscriber(…)"


class Ipv4Address(NamedTuple):
    """An IPv4 address (4 bytes) in its address realm: private addresses overlap between pools."""

    ip_domain: str
    address: bytes


class Ipv6Prefix(NamedTuple):
    """An IPv6 prefix: 16 bytes with the host bits cleared, and a length of 1 to 128."""

    address: bytes
    length: int


class SessionEvent(NamedTuple):
    """One report of a session. An attribute that is None was not reported, which does not clear it."""

    kind: EventKind
    key: SessionKey
    time: Milliseconds
    subscriber: Subscriber | None = None
    ipv4: Ipv4Address | None = None
    ipv6: tuple[Ipv6Prefix, ...] | None = None
    apn: str | None = None
    rat_type: int | None = None
    tethering: Tethering | None = None
    serving_network: str | None = None

    def __repr__(self) -> str:
        return f"SessionEvent({self.kind.name}, …)"


class GatewayRestart(NamedTuple):
    """A gateway started or stopped (Accounting-On, Accounting-Off): sessions that began before are over."""

    nas: str
    time: Milliseconds


class PortBlock(NamedTuple):
    """A range of ports of a public IPv4 address (4 bytes), both ends included."""

    public_address: bytes
    first_port: int
    last_port: int


class PortBlockAllocated(NamedTuple):
    """CGNAT gave a port block to a private address."""

    block: PortBlock
    time: Milliseconds
    private: Ipv4Address


class PortBlockReleased(NamedTuple):
    """CGNAT took a port block back."""

    block: PortBlock
    time: Milliseconds


Event = SessionEvent | GatewayRestart | PortBlockAllocated | PortBlockReleased


class Latest(NamedTuple, Generic[T]):
    """A value with the time of the event that reported it.

    Of two, the greater is the later one; at the same time the greater value wins, so that the outcome does not depend
    on the order of arrival.
    """

    time: Milliseconds
    value: T


class SessionRecord(NamedTuple):
    """All that is known of one session, as registers. 0 stands for "never" in the instants."""

    key: SessionKey
    started: Milliseconds
    """Greatest time of a START."""
    first_seen: Milliseconds
    """Least time of any event."""
    last_seen: Milliseconds
    """Greatest time of any event."""
    ended: Milliseconds
    """Greatest time of a STOP."""
    imsi: Latest[str] | None = None
    phone_number: Latest[str] | None = None
    ipv4: Latest[Ipv4Address] | None = None
    ipv6: Latest[tuple[Ipv6Prefix, ...]] | None = None
    apn: Latest[str] | None = None
    rat_type: Latest[int] | None = None
    tethering: Latest[Tethering] | None = None
    serving_network: Latest[str] | None = None

    def __repr__(self) -> str:
        return "SessionRecord(…)"

    @property
    def began(self) -> Milliseconds:
        """When the session began: its START where one is known, else the first that was heard of it."""
        return self.started or self.first_seen

    @property
    def subscriber(self) -> Subscriber | None:
        """Who holds the SIM, as far as was reported; None if nothing was."""
        if self.imsi is None and self.phone_number is None:
            return None
        return Subscriber(
            self.imsi.value if self.imsi is not None else "",
            self.phone_number.value if self.phone_number is not None else "",
        )


class Claim(NamedTuple):
    """When a session was seen with an address: the least and the greatest time of events that reported both.

    Claims outlive the session's hold on the address: that somebody else had it later is what shows an older session,
    whose end was lost, to be over.
    """

    first: Milliseconds
    last: Milliseconds


def _latest(register: Latest[T] | None, time: Milliseconds, value: T | None) -> Latest[T] | None:
    if value is None:
        return register
    reported = Latest(time, value)
    return reported if register is None or reported > register else register


def joined(record: SessionRecord | None, event: SessionEvent) -> SessionRecord:
    """The record with the event added."""
    if record is None:
        record = SessionRecord(event.key, started=0, first_seen=event.time, last_seen=0, ended=0)
    time = event.time
    return SessionRecord(
        record.key,
        started=max(record.started, time) if event.kind is EventKind.START else record.started,
        first_seen=min(record.first_seen, time),
        last_seen=max(record.last_seen, time),
        ended=max(record.ended, time) if event.kind is EventKind.STOP else record.ended,
        imsi=_latest(record.imsi, time, (event.subscriber and event.subscriber.imsi) or None),
        phone_number=_latest(record.phone_number, time, (event.subscriber and event.subscriber.phone_number) or None),
        ipv4=_latest(record.ipv4, time, event.ipv4),
        ipv6=_latest(record.ipv6, time, event.ipv6),
        apn=_latest(record.apn, time, event.apn),
        rat_type=_latest(record.rat_type, time, event.rat_type),
        tethering=_latest(record.tethering, time, event.tethering),
        serving_network=_latest(record.serving_network, time, event.serving_network),
    )


def extended(claim: Claim | None, time: Milliseconds) -> Claim:
    """The claim with one more sighting added."""
    return Claim(time, time) if claim is None else Claim(min(claim.first, time), max(claim.last, time))


class PortBlockRecord(NamedTuple):
    """All that is known of one port block, as registers."""

    block: PortBlock
    allocated: Latest[Ipv4Address] | None
    released: Milliseconds
    """Greatest time of a release; 0 for never."""


def joined_block(record: PortBlockRecord | None, event: PortBlockAllocated | PortBlockReleased) -> PortBlockRecord:
    """The record of a port block with the event added."""
    if record is None:
        record = PortBlockRecord(event.block, allocated=None, released=0)
    if isinstance(event, PortBlockAllocated):
        return record._replace(allocated=_latest(record.allocated, event.time, event.private))
    return record._replace(released=max(record.released, event.time))
