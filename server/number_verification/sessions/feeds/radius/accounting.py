"""From an accounting packet to the events of the session store (RFC 2866; 3GPP TS 29.061 §16; RFC 8045)."""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from number_verification.domain.clock import HOUR, MINUTE, SECOND, Milliseconds
from number_verification.domain.phone_number import from_msisdn
from number_verification.domain.session import (
    Event,
    EventKind,
    GatewayRestart,
    Ipv4Address,
    PortBlock,
    PortBlockAllocated,
    PortBlockReleased,
    SessionEvent,
    SessionKey,
    Subscriber,
)
from number_verification.sessions.feeds.radius import attributes as read
from number_verification.sessions.feeds.radius.clients import RadiusClient
from number_verification.sessions.feeds.radius.gateways import Gateways
from number_verification.sessions.feeds.radius.outcome import MalformedPacket, OutOfWindow, TimestampMissing
from number_verification.sessions.feeds.radius.packet import Attributes

IpDomain: TypeAlias = Callable[[str, str], str | None]
"""The address realm of a gateway's name and an APN (empty where none was reported); None where it cannot be told, and
then the address counts as not reported."""

_KINDS: Final = {1: EventKind.START, 2: EventKind.STOP, 3: EventKind.UPDATE}
_ACCOUNTING_ON: Final = 7
_ACCOUNTING_OFF: Final = 8

_ALLOCATION: Final = 1
_DEALLOCATION: Final = 2
_PORT_TYPES_WITH_TCP: Final = frozenset({0, 1, 2})
"""IP-Port-Type (RFC 8045 §3.2.1): everything, TCP and UDP, TCP. Ranges for UDP or ICMP alone say nothing of HTTP."""


class Accounting:
    """Turns accounting packets into events.

    Args:
        ip_domain: names the address realm.
        max_event_age: how long ago an event may have happened. A captured packet can be sent again at any time, its
            authenticator holds no nonce; within this time the store still knows what came after it.
        max_clock_skew: how far the gateways' clocks may be ahead.
    """

    def __init__(
        self,
        ip_domain: IpDomain,
        max_event_age: Milliseconds = 24 * HOUR,
        max_clock_skew: Milliseconds = 5 * MINUTE,
    ) -> None:
        self._ip_domain = ip_domain
        self._max_event_age = max_event_age
        self._max_clock_skew = max_clock_skew
        self._gateways = Gateways()

    def events(
        self, attributes: Attributes, client: RadiusClient, source: str, arrival: Milliseconds
    ) -> Sequence[Event]:
        """What a packet reports; nothing, where it reports what has no effect on sessions.

        Args:
            attributes: of the packet.
            client: whose secret made it.
            source: the address it came from.
            arrival: when it came.

        Raises:
            MalformedPacket: Acct-Status-Type, Acct-Session-Id or the gateway's name is missing or cannot be read.
            TimestampMissing: Event-Timestamp is missing, and the client has to send it.
            OutOfWindow: it happened too long ago, or too far ahead.
        """
        status = read.certain_integer(attributes, read.ACCT_STATUS_TYPE)
        if status is None:
            raise MalformedPacket("no Acct-Status-Type")
        time = self._event_time(attributes, client, arrival)
        if status in (_ACCOUNTING_ON, _ACCOUNTING_OFF):
            # What begins in the same millisecond as a start-up began after it: before, the gateway served nobody.
            epoch = time - 1 if status == _ACCOUNTING_ON else time
            names = self._gateways.restarted(client.name, source, attributes)
            return [GatewayRestart(nas, epoch) for nas in names]
        kind = _KINDS.get(status)
        if kind is None:
            return ()
        if kind is EventKind.UPDATE:
            # It follows the start of its session, also where both come in one millisecond.
            time += 1
        nas = self._gateways.name(client.name, source, attributes)
        session = self._session_event(kind, nas, attributes, time)
        if read.EXTENDED_1 not in attributes:
            return (session,)
        ranges = read.port_ranges(attributes)
        if ranges and session.subscriber is None:
            # A translator that is not the gateway knows addresses but no subscribers. A session of its own, nobody's,
            # would make the address of the gateway's session ambiguous.
            return self._port_events(ranges, session, attributes)
        return (session, *self._port_events(ranges, session, attributes))

    def _event_time(self, attributes: Attributes, client: RadiusClient, arrival: Milliseconds) -> Milliseconds:
        """When it happened.

        Event-Timestamp has whole seconds, in which a restart and a start, or two updates, lose their order. A packet
        that comes undelayed in that very second happened when it came; one that comes in the next, at the second's very
        end, since it may have crossed over on its way; any other one at the second's beginning, so that a repetition
        never looks later than what it repeats.
        """
        delay = read.integer(attributes, read.ACCT_DELAY_TIME) or 0
        timestamp = read.certain_integer(attributes, read.EVENT_TIMESTAMP)
        if timestamp is None:
            if client.require_event_timestamp:
                raise TimestampMissing
            time = arrival - delay * SECOND
        elif delay == 0 and 0 <= arrival // SECOND - timestamp <= 1:
            time = min(arrival, timestamp * SECOND + SECOND - 1)
        else:
            time = timestamp * SECOND
        if not arrival - self._max_event_age <= time <= arrival + self._max_clock_skew:
            raise OutOfWindow
        return time

    def _session_event(self, kind: EventKind, nas: str, attributes: Attributes, time: Milliseconds) -> SessionEvent:
        """One report of a session.

        3GPP-Session-Stop-Indicator is not looked at. Every bearer has an Acct-Session-Id of its own and a Stop of its
        own, which ends that bearer and no other; without the indicator another one is alive on the same address, and
        it is found there by its own session.
        """
        session_id = read.certain(attributes, read.ACCT_SESSION_ID)
        if session_id is None:
            raise MalformedPacket("no Acct-Session-Id")
        tgpp = read.of_3gpp(attributes)
        imsi = read.imsi(tgpp)
        phone_number = from_msisdn(read.text(attributes, read.CALLING_STATION_ID)) or ""
        apn = read.apn(attributes)
        return SessionEvent(
            kind,
            SessionKey(nas, read.name(session_id)),
            time,
            Subscriber(imsi, phone_number) if imsi or phone_number else None,
            self._private_address(read.ipv4(attributes, read.FRAMED_IP_ADDRESS), nas, apn),
            read.ipv6_prefixes(attributes),
            apn,
            read.rat_type(tgpp),
            None,
            read.serving_network(tgpp),
        )

    def _private_address(self, address: bytes | None, nas: str, apn: str | None) -> Ipv4Address | None:
        if address is None:
            return None
        ip_domain = self._ip_domain(nas, apn or "")
        return None if ip_domain is None else Ipv4Address(ip_domain, address)

    def _port_events(self, ranges: Sequence[Attributes], session: SessionEvent, attributes: Attributes) -> list[Event]:
        """Port blocks that were given or taken. What is not said completely is left out: the port stays unassigned."""
        events: list[Event] = []
        for tlvs in ranges:
            block = _port_block(tlvs)
            if block is None:
                continue
            action = read.integer(tlvs, read.IP_PORT_ALLOC)
            if action == _DEALLOCATION:
                events.append(PortBlockReleased(block, session.time))
            elif action == _ALLOCATION:
                kind = read.IP_PORT_INT_IPV4_ADDR
                inside = read.ipv4(tlvs, kind) if kind in tlvs else read.ipv4(attributes, read.FRAMED_IP_ADDRESS)
                private = self._private_address(inside, session.key.nas, session.apn)
                if private is not None:
                    events.append(PortBlockAllocated(block, session.time, private))
        return events


def _port_block(tlvs: Attributes) -> PortBlock | None:
    public_address = read.ipv4(tlvs, read.IP_PORT_EXT_IPV4_ADDR)
    first, last = read.integer(tlvs, read.IP_PORT_RANGE_START), read.integer(tlvs, read.IP_PORT_RANGE_END)
    if public_address is None or first is None or last is None or not first <= last <= 0xFFFF:
        return None
    if read.IP_PORT_TYPE in tlvs and read.integer(tlvs, read.IP_PORT_TYPE) not in _PORT_TYPES_WITH_TCP:
        return None
    return PortBlock(public_address, first, last)
