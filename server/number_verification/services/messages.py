"""Subscriber sessions between the contract's messages and the domain."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from number_verification.domain.clock import SECOND, Milliseconds
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.domain.session import (
    Event,
    EventKind,
    GatewayRestart,
    Ipv4Address,
    Ipv6Prefix,
    PortBlock,
    PortBlockAllocated,
    PortBlockReleased,
    SessionEvent,
    SessionKey,
    SessionRecord,
    Subscriber,
    Tethering,
)
from number_verification.gen.subscribersession.v1 import subscriber_session_pb2 as pb

_TETHERING = {
    pb.TETHERING_NO: Tethering.NO,
    pb.TETHERING_YES: Tethering.YES,
    pb.TETHERING_UNKNOWN: Tethering.UNKNOWN,
}
_TETHERING_MESSAGE = {value: key for key, value in _TETHERING.items()}


@dataclass(frozen=True, slots=True)
class EventReader:
    """Reads the events of feeds.

    Args:
        ip_domain: the address realm of a gateway and an APN.
        max_event_age, max_clock_skew: how far an event may lie back, or ahead. What is older than the store's memory
            of ended sessions could bring one back to life.
    """

    ip_domain: Callable[[str, str], str]
    max_event_age: Milliseconds
    max_clock_skew: Milliseconds

    def feed_event(self, request: pb.FeedEventsRequest, received: Milliseconds) -> Event:
        """One event of a feed.

        Raises:
            Refusal: INVALID_ARGUMENT.
        """
        match request.WhichOneof("event"):
            case "gateway_restarted":
                restart = request.gateway_restarted
                return GatewayRestart(restart.nas, self._time(restart, received))
            case "port_block_allocated":
                change = request.port_block_allocated
                private = Ipv4Address(change.ip_domain, _ipv4(change.private_address, "privateAddress"))
                return PortBlockAllocated(_port_block(change), self._time(change, received), private)
            case "port_block_released":
                change = request.port_block_released
                return PortBlockReleased(_port_block(change), self._time(change, received))
            case "opened":
                return self.session_event(EventKind.START, request.opened, received)
            case "refreshed":
                return self.session_event(EventKind.UPDATE, request.refreshed, received)
            case _:
                return self.session_event(EventKind.STOP, request.ended, received)

    def session_event(self, kind: EventKind, event: pb.SessionEvent, received: Milliseconds) -> SessionEvent:
        """One event of a session.

        Raises:
            Refusal: INVALID_ARGUMENT.
        """
        if not event.HasField("key"):
            raise _invalid("event.key", "is required")
        reported = event.attributes
        known = bool(reported.imsi or reported.phone_number)
        apn = reported.apn.lower()
        ipv4 = _ipv4(reported.ipv4_address, "event.attributes.ipv4Address") if reported.ipv4_address else None
        return SessionEvent(
            kind,
            SessionKey(event.key.nas, event.key.session_id),
            self._time(event, received),
            subscriber=Subscriber(reported.imsi, reported.phone_number) if known else None,
            ipv4=Ipv4Address(self.ip_domain(event.key.nas, apn), ipv4) if ipv4 else None,
            ipv6=tuple(map(_ipv6_prefix, reported.ipv6_prefixes)) or None,
            apn=apn or None,
            rat_type=reported.rat_type if reported.HasField("rat_type") else None,
            tethering=_TETHERING.get(reported.tethering),
            serving_network=reported.serving_network or None,
        )

    def _time(
        self, event: pb.SessionEvent | pb.GatewayRestart | pb.PortBlockChange, received: Milliseconds
    ) -> Milliseconds:
        if not event.HasField("event_time"):
            return received
        # Not by ToMilliseconds, which raises for what no calendar has.
        time = event.event_time.seconds * SECOND + event.event_time.nanos // 1_000_000
        if not received - self.max_event_age <= time <= received + self.max_clock_skew:
            raise _invalid("eventTime", "is too far back or ahead")
        return time


def session_message(session: SessionRecord) -> pb.SubscriberSession:
    """A session as the contract shows it."""
    message = pb.SubscriberSession(key=pb.SessionKey(nas=session.key.nas, session_id=session.key.session_id))
    attributes = message.attributes
    if session.subscriber:
        attributes.imsi, attributes.phone_number = session.subscriber
    if session.ipv4:
        message.ip_domain = session.ipv4.value.ip_domain
        attributes.ipv4_address = str(ipaddress.IPv4Address(session.ipv4.value.address))
    if session.ipv6:
        for prefix in session.ipv6.value:
            attributes.ipv6_prefixes.append(f"{ipaddress.IPv6Address(prefix.address)}/{prefix.length}")
    if session.apn:
        attributes.apn = session.apn.value
    if session.rat_type:
        attributes.rat_type = session.rat_type.value
    if session.tethering:
        attributes.tethering = _TETHERING_MESSAGE[session.tethering.value]
    if session.serving_network:
        attributes.serving_network = session.serving_network.value
    message.start_time.FromMilliseconds(session.began)
    message.last_seen_time.FromMilliseconds(session.last_seen)
    if session.ended:
        message.end_time.FromMilliseconds(session.ended)
    return message


def _port_block(change: pb.PortBlockChange) -> PortBlock:
    if not 0 < change.first_port <= change.last_port <= 65535:
        raise _invalid("firstPort", "ports must be 1 to 65535, the first not after the last")
    return PortBlock(_ipv4(change.public_address, "publicAddress"), change.first_port, change.last_port)


def _ipv4(text: str, field: str) -> bytes:
    try:
        return ipaddress.IPv4Address(text).packed
    except ValueError:
        raise _invalid(field, "must be an IPv4 address") from None


def _ipv6_prefix(text: str) -> Ipv6Prefix:
    try:
        network = ipaddress.IPv6Network(text)
    except ValueError:
        raise _invalid("event.attributes.ipv6Prefixes", "must be IPv6 prefixes without host bits") from None
    if network.prefixlen == 0:
        raise _invalid("event.attributes.ipv6Prefixes", "must be longer than /0")
    return Ipv6Prefix(network.network_address.packed, network.prefixlen)


def _invalid(field: str, description: str) -> Refusal:
    return Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=[Violation(field, description)])
