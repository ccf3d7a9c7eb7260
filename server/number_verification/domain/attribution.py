"""Who stands behind an address: the rule that turns what is recorded into one live session, or into a refusal.

Pure, and the same for every store: a store only brings the sightings. Whatever is not certain is refused (design D5).
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple, TypeVar

from number_verification.domain.clock import HOUR, MINUTE, Milliseconds
from number_verification.domain.refusal import Reason
from number_verification.domain.session import (
    Claim,
    Ipv4Address,
    Ipv6Prefix,
    Latest,
    PortBlockRecord,
    SessionKey,
    SessionRecord,
    Subscriber,
    Tethering,
)

WLAN_RAT_TYPES = frozenset({3, 53, 54})
"""WLAN, trusted WLAN, trusted non-3GPP access (3GPP TS 29.061 §16.4.7.2, 3GPP-RAT-Type)."""

CELLULAR_RAT_TYPES = frozenset({1, 2, 5, 6, 8, 9, 51, 52})
"""UTRAN, GERAN, HSPA+, E-UTRAN, NB-IoT, LTE-M, NR, NR unlicensed."""

_CLOCK_DIFFERENCE: Milliseconds = MINUTE
"""How far our own clocks may differ."""

T = TypeVar("T")


class Sighting(NamedTuple):
    """One session that was seen with the address in question, and what is known of its gateway."""

    session: SessionRecord
    claim: Claim
    held: bool
    """Whether the address is among the session's latest ones."""
    nas_epoch: Milliseconds
    """When the gateway last started or stopped; 0 for never."""
    nas_heard: Milliseconds
    """When the gateway's feed was last heard; 0 for never."""


@dataclass(frozen=True, slots=True)
class AttributionPolicy:
    """What the operator lets count as a device on its mobile network."""

    apns: frozenset[str]
    """APNs whose sessions count, in lower case (3GPP TS 23.003 §9.1: APNs are not case-sensitive)."""
    tethering_apns: frozenset[str] = frozenset()
    """APNs that only tethered devices use, in lower case."""
    home_networks: frozenset[str] = frozenset()
    """MCC+MNC of the operator; empty where roaming is not looked at."""
    allow_home_routed_roaming: bool = True
    refuse_unknown_tethering: bool = False
    """Whether a session whose gateway cannot tell is refused."""
    tethering_flag_age: Milliseconds = 2 * HOUR
    """How old a gateway's word on tethering may be before it counts as unknown."""
    session_silence: Milliseconds = 4 * HOUR
    """How long a session may be silent before it no longer counts."""
    feed_silence: Milliseconds = 30 * MINUTE
    """How long a gateway may be silent before its sessions no longer count."""


class LiveSession(NamedTuple):
    """The one subscriber behind an address, and the live sessions that say so."""

    subscriber: Subscriber
    sessions: tuple[SessionRecord, ...]
    """At least one; more than one where the device has secondary bearers on the same address."""

    def began(self, key: SessionKey) -> Milliseconds | None:
        """When the session with this key began; None if it is not among the live ones."""
        for session in self.sessions:
            if session.key == key:
                return session.began
        return None


def attribute(sightings: Sequence[Sighting], policy: AttributionPolicy, now: Milliseconds) -> LiveSession | Reason:
    """The live session behind an address, given every sighting of the address, or why none may be named."""
    if not sightings:
        return Reason.OFF_NET
    sightings = [_in_this_life(sighting) for sighting in sightings]
    # Who is alone supersedes nobody. That is nearly everybody.
    latest = _latest_claims(sightings) if len(sightings) > 1 else ()
    live = [s for s in sightings if _is_live(s) and not _is_superseded(s, latest)]
    if not live:
        return Reason.SESSION_ENDED
    subscriber = live[0].session.subscriber
    for sighting in live[1:]:
        other = sighting.session.subscriber
        if other is None or other != subscriber:
            return Reason.AMBIGUOUS
    for sighting in live:
        reason = _objection(sighting, policy, now)
        if reason is not None:
            return reason
    if subscriber is None or not subscriber.phone_number:
        return Reason.NUMBER_UNKNOWN
    return LiveSession(subscriber, tuple(s.session for s in live))


def _in_this_life(sighting: Sighting) -> Sighting:
    """The sighting without what was reported before the gateway restarted: the same id may mean another session now."""
    session, epoch = sighting.session, sighting.nas_epoch
    if session.first_seen > epoch:
        return sighting
    session = session._replace(
        imsi=_since(epoch, session.imsi),
        phone_number=_since(epoch, session.phone_number),
        ipv4=_since(epoch, session.ipv4),
        ipv6=_since(epoch, session.ipv6),
        apn=_since(epoch, session.apn),
        rat_type=_since(epoch, session.rat_type),
        tethering=_since(epoch, session.tethering),
        serving_network=_since(epoch, session.serving_network),
    )
    return sighting._replace(session=session)


def _since(epoch: Milliseconds, register: Latest[T] | None) -> Latest[T] | None:
    return register if register is not None and register.time > epoch else None


def _is_live(sighting: Sighting) -> bool:
    session, epoch = sighting.session, sighting.nas_epoch
    if not sighting.held or session.began <= epoch:
        return False
    # A gateway that restarted may give the same session id again. Only then is an end followed by a new life.
    return not session.ended or session.ended <= epoch < session.started


def _latest_claims(sightings: Sequence[Sighting]) -> list[tuple[Milliseconds, Subscriber | None]]:
    """When each of the two subscribers who were given the address last was first seen with it by their latest session.

    Two suffice: whoever has one of them has the other one to compare with. A look-up takes time in proportion to the
    sessions, however many a gateway reports for one address.
    """
    latest: dict[Subscriber | None, Milliseconds] = {}
    for session, claim, *_ in sightings:
        subscriber = session.subscriber
        latest[subscriber] = max(claim.first, latest.get(subscriber, claim.first))
    return heapq.nlargest(2, ((first, subscriber) for subscriber, first in latest.items()), key=itemgetter(0))


def _is_superseded(sighting: Sighting, latest: Sequence[tuple[Milliseconds, Subscriber | None]]) -> bool:
    """Whether another subscriber was given the address after the last word of this session."""
    session = sighting.session
    subscriber = session.subscriber
    return any(first > session.last_seen and other != subscriber for first, other in latest)


def _objection(sighting: Sighting, policy: AttributionPolicy, now: Milliseconds) -> Reason | None:
    session = sighting.session
    if now - session.last_seen > policy.session_silence or now - sighting.nas_heard > policy.feed_silence:
        return Reason.STALE_FEED
    if sighting.nas_heard - now > _CLOCK_DIFFERENCE:
        # The clock was ahead when the feed was last heard. How long that is ago, nobody knows.
        return Reason.STALE_FEED
    rat_type = session.rat_type.value if session.rat_type else None
    if rat_type in WLAN_RAT_TYPES:
        return Reason.WLAN_ACCESS
    if rat_type not in CELLULAR_RAT_TYPES:
        return Reason.RAT_NOT_ALLOWED
    apn = session.apn.value.lower() if session.apn else ""
    if apn in policy.tethering_apns:
        return Reason.TETHERED
    if apn not in policy.apns:
        return Reason.APN_NOT_ALLOWED
    return _tethering_objection(session, policy, now) or _roaming_objection(session, policy)


def _tethering_objection(session: SessionRecord, policy: AttributionPolicy, now: Milliseconds) -> Reason | None:
    flag = session.tethering
    if flag is not None and flag.value is Tethering.YES:
        return Reason.TETHERED
    known = flag is not None and flag.value is Tethering.NO and now - flag.time <= policy.tethering_flag_age
    if policy.refuse_unknown_tethering and not known:
        return Reason.TETHERING_UNKNOWN
    return None


def _roaming_objection(session: SessionRecord, policy: AttributionPolicy) -> Reason | None:
    if policy.allow_home_routed_roaming or not policy.home_networks or session.serving_network is None:
        return None
    if session.serving_network.value in policy.home_networks:
        return None
    return Reason.ROAMING_NOT_ALLOWED


def private_address(blocks: Sequence[PortBlockRecord], now: Milliseconds) -> tuple[Ipv4Address, Milliseconds] | Reason:
    """Whom CGNAT gave a port to: the private address and since when, given every block that contains the port.

    What was heard last of the port, in whichever block, says that all before is over, even where a release was lost.
    """
    allocations = [block.allocated for block in blocks if block.allocated is not None]
    if not allocations:
        return Reason.PORT_UNASSIGNED
    latest = max(allocations)
    if any(block.released >= latest.time for block in blocks):
        return Reason.PORT_UNASSIGNED
    if latest.time > now or any(other.time == latest.time and other.value != latest.value for other in allocations):
        return Reason.AMBIGUOUS
    return latest.value, latest.time


def holds(session: SessionRecord, address: Ipv4Address | Ipv6Prefix, nas_epoch: Milliseconds) -> bool:
    """Whether the address is among the session's latest ones, reported since its gateway last restarted."""
    if isinstance(address, Ipv4Address):
        return session.ipv4 is not None and session.ipv4.value == address and session.ipv4.time > nas_epoch
    return session.ipv6 is not None and address in session.ipv6.value and session.ipv6.time > nas_epoch
