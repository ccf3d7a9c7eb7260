"""Events to test with, short to write down."""

from typing import Any

from number_verification.domain.attribution import AttributionPolicy, LiveSession, attribute
from number_verification.domain.clock import Milliseconds
from number_verification.domain.refusal import Reason
from number_verification.domain.session import (
    EventKind,
    GatewayRestart,
    Ipv4Address,
    Ipv6Prefix,
    PortBlock,
    PortBlockAllocated,
    PortBlockReleased,
    SessionEvent,
    SessionKey,
    Subscriber,
)
from number_verification.sessions.store import SessionStore

T: Milliseconds = 1_800_000_000_000
"""Instants in tests are counted from here."""

ALICE = Subscriber("999990000000001", "+99010000001")
BOB = Subscriber("999990000000002", "+99010000002")

ADDRESS = Ipv4Address("home", bytes((10, 0, 0, 1)))
OTHER_ADDRESS = Ipv4Address("home", bytes((10, 0, 0, 2)))
PUBLIC = bytes((203, 0, 113, 7))

POLICY = AttributionPolicy(apns=frozenset({"internet"}))


def event(
    kind: EventKind, session_id: str, at: Milliseconds, who: Subscriber | None, **attributes: Any
) -> SessionEvent:
    """A session event `at` milliseconds after T. Attributes that are not given have the usual values."""
    usual: dict[str, Any] = {"ipv4": ADDRESS, "apn": "internet", "rat_type": 6}
    nas = attributes.pop("nas", "gw-1")
    return SessionEvent(kind, SessionKey(nas, session_id), T + at, who, **(usual | attributes))


def start(session_id: str, at: Milliseconds, who: Subscriber | None = ALICE, **attributes: Any) -> SessionEvent:
    return event(EventKind.START, session_id, at, who, **attributes)


def update(session_id: str, at: Milliseconds, who: Subscriber | None = ALICE, **attributes: Any) -> SessionEvent:
    return event(EventKind.UPDATE, session_id, at, who, **attributes)


def stop(session_id: str, at: Milliseconds, who: Subscriber | None = ALICE, **attributes: Any) -> SessionEvent:
    return event(EventKind.STOP, session_id, at, who, **attributes)


def restart(at: Milliseconds, nas: str = "gw-1") -> GatewayRestart:
    return GatewayRestart(nas, T + at)


def prefix(text: str) -> Ipv6Prefix:
    """A prefix such as "20010db8/32": the first bytes in hexadecimal, and the length."""
    digits, length = text.split("/")
    return Ipv6Prefix(bytes.fromhex(digits).ljust(16, b"\0"), int(length))


def allocated(ports: tuple[int, int], at: Milliseconds, private: Ipv4Address = ADDRESS) -> PortBlockAllocated:
    return PortBlockAllocated(PortBlock(PUBLIC, *ports), T + at, private)


def released(ports: tuple[int, int], at: Milliseconds) -> PortBlockReleased:
    return PortBlockReleased(PortBlock(PUBLIC, *ports), T + at)


def who_has(
    store: SessionStore, address: Ipv4Address | bytes = ADDRESS, at: Milliseconds = 10_000
) -> Subscriber | Reason:
    """The subscriber behind an address, or why none may be named."""
    found = attribute(store.sightings(address), POLICY, T + at)
    return found.subscriber if isinstance(found, LiveSession) else found
