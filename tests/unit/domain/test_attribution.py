import time
from dataclasses import replace
from typing import Any

import pytest

from conformance.events import ADDRESS, ALICE, BOB, OTHER_ADDRESS, POLICY, PUBLIC, T, prefix, start, stop, update
from number_verification.domain import attribution
from number_verification.domain.attribution import (
    CELLULAR_RAT_TYPES,
    WLAN_RAT_TYPES,
    AttributionPolicy,
    LiveSession,
    Sighting,
    attribute,
    holds,
    private_address,
)
from number_verification.domain.clock import HOUR, MINUTE, Milliseconds
from number_verification.domain.refusal import Reason
from number_verification.domain.session import (
    Claim,
    Ipv4Address,
    Latest,
    PortBlock,
    PortBlockRecord,
    SessionEvent,
    SessionKey,
    SessionRecord,
    Subscriber,
    Tethering,
    joined,
)

NOW: Milliseconds = T + 10_000


def record_of(*events: SessionEvent) -> SessionRecord:
    record = None
    for event in events:
        record = joined(record, event)
    assert record is not None
    return record


def sighting(
    *events: SessionEvent, epoch: Milliseconds = 0, heard: Milliseconds = NOW, first: Milliseconds | None = None
) -> Sighting:
    record = record_of(*events)
    claim = Claim(record.first_seen if first is None else first, record.last_seen)
    return Sighting(record, claim, holds(record, ADDRESS, epoch), epoch, heard)


def answer(*sightings: Sighting, policy: AttributionPolicy = POLICY, now: Milliseconds = NOW) -> object:
    found = attribute(sightings, policy, now)
    return found.subscriber if isinstance(found, LiveSession) else found


def test_one_live_session_is_named() -> None:
    found = attribute([sighting(start("a", 0))], POLICY, NOW)
    assert isinstance(found, LiveSession)
    assert (found.subscriber, [session.key for session in found.sessions]) == (ALICE, [SessionKey("gw-1", "a")])
    assert found.began(SessionKey("gw-1", "a")) == T
    assert found.began(SessionKey("gw-1", "b")) is None


def test_nobody_was_seen_there() -> None:
    assert answer() is Reason.OFF_NET


@pytest.mark.parametrize("number", ["", None])
def test_a_session_without_a_number(number: str | None) -> None:
    who = None if number is None else Subscriber("999990000000001", number)
    assert answer(sighting(start("a", 0, who))) is Reason.NUMBER_UNKNOWN


@pytest.mark.parametrize(
    ("events", "epoch"),
    [
        ((start("a", 0), stop("a", 5)), 0),
        ((stop("a", 5), start("a", 0)), 0),
        ((start("a", 0), stop("a", 5), update("a", 9)), 0),
        ((start("a", 0), stop("a", 5), start("a", 9)), 0),
        ((start("a", 5),), T + 5),
        ((update("a", 5),), T + 7),
        ((start("a", 0), update("a", 9)), T + 5),
        ((start("a", 0), update("a", 5, ipv4=OTHER_ADDRESS)), 0),
        ((start("a", 0), start("a", 9, ipv4=None)), T + 5),
        ((start("a", 0), stop("a", 5), start("a", 9), stop("a", 11)), T + 7),
        ((start("a", 0), stop("a", 8), start("a", 9)), T + 7),
    ],
    ids=range(11),
)
def test_an_ended_session(events: tuple[SessionEvent, ...], epoch: Milliseconds) -> None:
    assert answer(sighting(*events, epoch=epoch)) is Reason.SESSION_ENDED


@pytest.mark.parametrize(
    ("events", "epoch"),
    [
        ((update("a", 5),), 0),
        ((start("a", 5),), T + 4),
        ((start("a", 0), stop("a", 5), start("a", 9)), T + 7),
        ((start("a", 0), stop("a", 7), start("a", 9)), T + 7),
    ],
    ids=range(4),
)
def test_a_live_session(events: tuple[SessionEvent, ...], epoch: Milliseconds) -> None:
    assert answer(sighting(*events, epoch=epoch)) == ALICE


# Two on one address.


def test_two_subscribers_are_ambiguous() -> None:
    one, other = sighting(start("a", 0), update("a", 9)), sighting(start("b", 5, BOB))
    assert answer(one, other) is Reason.AMBIGUOUS
    assert answer(other, one) is Reason.AMBIGUOUS


def test_two_without_a_subscriber_are_ambiguous() -> None:
    assert answer(sighting(start("a", 0, None)), sighting(start("b", 0, None))) is Reason.AMBIGUOUS


def test_one_with_and_one_without_a_subscriber_are_ambiguous() -> None:
    one, other = sighting(start("a", 0)), sighting(start("b", 0, None))
    assert answer(one, other) is Reason.AMBIGUOUS
    assert answer(other, one) is Reason.AMBIGUOUS


def test_the_same_number_on_two_cards_is_ambiguous() -> None:
    other_card = ALICE._replace(imsi="999990000000009")
    assert answer(sighting(start("a", 0)), sighting(start("b", 0, other_card))) is Reason.AMBIGUOUS


def test_who_came_later_supersedes_who_fell_silent() -> None:
    assert answer(sighting(start("a", 0)), sighting(start("b", 5, BOB))) == BOB
    assert answer(sighting(start("a", 0)), sighting(start("b", 5, None))) is Reason.NUMBER_UNKNOWN
    ended = sighting(start("b", 5, BOB), stop("b", 6, BOB))
    assert answer(sighting(start("a", 0)), ended) is Reason.SESSION_ENDED


def test_of_many_the_one_who_came_last_is_named() -> None:
    """In time proportional to their number: a gateway may report one address for all of its sessions."""
    people = [Subscriber(f"{999990000000000 + number}", f"+{99010000000 + number}") for number in range(20_000)]
    seen = [sighting(start(f"s{number}", number, who)) for number, who in enumerate(people)]
    began = time.process_time()
    assert answer(*seen[1:], seen[0], now=T + 20_000) == people[-1]
    assert time.process_time() - began < 5
    assert answer(*seen, sighting(start("a", 19_999, BOB)), now=T + 20_000) is Reason.AMBIGUOUS


def test_secondary_bearers_are_one_subscriber() -> None:
    found = attribute([sighting(start("a", 0)), sighting(start("a2", 5))], POLICY, NOW)
    assert isinstance(found, LiveSession)
    assert len(found.sessions) == 2


def test_every_one_of_them_has_to_be_beyond_doubt() -> None:
    assert answer(sighting(start("a", 0)), sighting(start("a2", 0, rat_type=3))) is Reason.WLAN_ACCESS


# A session id that was given again after a restart.


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ({"who": None}, Reason.NUMBER_UNKNOWN),
        ({"ipv4": None}, Reason.SESSION_ENDED),
        ({"apn": None}, Reason.APN_NOT_ALLOWED),
        ({"rat_type": None}, Reason.RAT_NOT_ALLOWED),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_a_former_life_vouches_for_nothing(missing: dict[str, Any], reason: Reason) -> None:
    again = start("a", 9, **{"who": ALICE} | missing)
    assert answer(sighting(start("a", 0), again, epoch=T + 5)) is reason
    assert answer(sighting(start("a", 0), again)) == ALICE


def test_a_former_life_accuses_of_nothing() -> None:
    former = start("a", 0, tethering=Tethering.YES, serving_network="99902")
    policy = replace(POLICY, home_networks=frozenset({"99901"}), allow_home_routed_roaming=False)
    assert answer(sighting(former, start("a", 9), epoch=T + 5), policy=policy) == ALICE
    assert answer(sighting(former, start("a", 9)), policy=policy) is Reason.TETHERED


def test_invariant_1_without_this_a_former_subscriber_would_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution, "_in_this_life", lambda sighting: sighting)
    assert answer(sighting(start("a", 0), start("a", 9, None), epoch=T + 5)) == ALICE


@pytest.mark.parametrize(
    "sightings",
    [
        [sighting(start("a", 0), stop("a", 5))],
        [sighting(start("a", 0), epoch=T + 5)],
    ],
    ids=["stopped", "gateway restarted"],
)
def test_invariant_1_without_this_an_ended_session_would_be_named(
    monkeypatch: pytest.MonkeyPatch, sightings: list[Sighting]
) -> None:
    assert answer(*sightings) is Reason.SESSION_ENDED
    monkeypatch.setattr(attribution, "_is_live", lambda sighting: True)
    monkeypatch.setattr(attribution, "_in_this_life", lambda sighting: sighting)
    assert answer(*sightings) == ALICE


# Doubts about one session.


@pytest.mark.parametrize("rat_type", range(256))
def test_only_cellular_access_counts(rat_type: int) -> None:
    expected: object = Reason.RAT_NOT_ALLOWED
    if rat_type in {1, 2, 5, 6, 8, 9, 51, 52}:
        expected = ALICE
    elif rat_type in {3, 53, 54}:
        expected = Reason.WLAN_ACCESS
    assert answer(sighting(start("a", 0, rat_type=rat_type))) == expected
    assert not CELLULAR_RAT_TYPES & WLAN_RAT_TYPES


def test_access_that_was_not_reported_does_not_count() -> None:
    assert answer(sighting(start("a", 0, rat_type=None))) is Reason.RAT_NOT_ALLOWED


@pytest.mark.parametrize(
    ("apn", "expected"),
    [
        ("internet", ALICE),
        ("INTERNET", ALICE),
        ("ims", Reason.APN_NOT_ALLOWED),
        (None, Reason.APN_NOT_ALLOWED),
        ("Hotspot", Reason.TETHERED),
    ],
)
def test_only_allowed_apns_count(apn: str | None, expected: object) -> None:
    policy = replace(POLICY, tethering_apns=frozenset({"hotspot"}))
    assert answer(sighting(start("a", 0, apn=apn)), policy=policy) == expected


@pytest.mark.parametrize(
    ("flag", "lenient", "strict"),
    [
        (Tethering.NO, ALICE, ALICE),
        (Tethering.YES, Reason.TETHERED, Reason.TETHERED),
        (Tethering.UNKNOWN, ALICE, Reason.TETHERING_UNKNOWN),
        (None, ALICE, Reason.TETHERING_UNKNOWN),
    ],
)
def test_tethering(flag: Tethering | None, lenient: object, strict: object) -> None:
    seen = sighting(start("a", 0, tethering=flag))
    assert answer(seen) == lenient
    assert answer(seen, policy=replace(POLICY, refuse_unknown_tethering=True)) == strict


def test_an_old_word_on_tethering_is_unknown_but_an_old_accusation_stands() -> None:
    policy = replace(POLICY, refuse_unknown_tethering=True, tethering_flag_age=HOUR)
    now = T + HOUR + 1
    for flag, reason in ((Tethering.NO, Reason.TETHERING_UNKNOWN), (Tethering.YES, Reason.TETHERED)):
        seen = sighting(start("a", 0, tethering=flag), heard=now)
        assert answer(seen, policy=policy, now=now) is reason
    assert answer(sighting(start("a", 1, tethering=Tethering.NO), heard=now), policy=policy, now=now) == ALICE


@pytest.mark.parametrize(
    ("network", "expected"), [("99901", ALICE), ("99902", Reason.ROAMING_NOT_ALLOWED), (None, ALICE)]
)
def test_roaming(network: str | None, expected: object) -> None:
    seen = sighting(start("a", 0, serving_network=network))
    policy = replace(POLICY, home_networks=frozenset({"99901"}), allow_home_routed_roaming=False)
    assert answer(seen, policy=policy) == expected
    assert answer(seen, policy=replace(policy, allow_home_routed_roaming=True)) == ALICE
    assert answer(seen, policy=replace(policy, home_networks=frozenset())) == ALICE


# Invariant 4.


def test_silence_is_refused() -> None:
    policy = replace(POLICY, session_silence=HOUR, feed_silence=MINUTE)
    seen = sighting(start("a", 0), heard=T + HOUR)
    assert answer(seen, policy=policy, now=T + HOUR) == ALICE
    assert answer(seen, policy=policy, now=T + HOUR + 1) is Reason.STALE_FEED
    seen = sighting(start("a", 0), heard=T)
    assert answer(seen, policy=policy, now=T + MINUTE) == ALICE
    assert answer(seen, policy=policy, now=T + MINUTE + 1) is Reason.STALE_FEED


def test_a_feed_heard_in_the_future_is_silent() -> None:
    """The clock was ahead and was put right. Were it not for this, a dead feed would count as alive until then."""
    assert answer(sighting(start("a", 0), heard=NOW + MINUTE)) == ALICE
    assert answer(sighting(start("a", 0), heard=NOW + MINUTE + 1)) is Reason.STALE_FEED


# Port blocks.


def block(ports: tuple[int, int], at: Milliseconds | None, end: Milliseconds = 0, to: Ipv4Address = ADDRESS) -> Any:
    return PortBlockRecord(PortBlock(PUBLIC, *ports), None if at is None else Latest(at, to), end)


A, B = (1000, 1999), (1500, 1599)


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([], Reason.PORT_UNASSIGNED),
        ([block(A, None, 5)], Reason.PORT_UNASSIGNED),
        ([block(A, 5)], (ADDRESS, 5)),
        ([block(A, 5, 4)], (ADDRESS, 5)),
        ([block(A, 5, 5)], Reason.PORT_UNASSIGNED),
        ([block(A, 5, 6)], Reason.PORT_UNASSIGNED),
        ([block(A, 9)], (ADDRESS, 9)),
        # Heard already, but not yet: whose clock is wrong, nobody knows.
        ([block(A, 10)], Reason.AMBIGUOUS),
        ([block(A, 5), block(B, 10, to=OTHER_ADDRESS)], Reason.AMBIGUOUS),
        ([block(A, 5), block(B, 7, to=OTHER_ADDRESS)], (OTHER_ADDRESS, 7)),
        ([block(A, 7), block(B, 5, to=OTHER_ADDRESS)], (ADDRESS, 7)),
        ([block(A, 7), block(B, 7, to=OTHER_ADDRESS)], Reason.AMBIGUOUS),
        ([block(A, 7), block(B, 7)], (ADDRESS, 7)),
        # That the port was given away and taken back shows the first allocation to be over.
        ([block(A, 5), block(B, 7, 8, OTHER_ADDRESS)], Reason.PORT_UNASSIGNED),
        ([block(A, 5), block(B, None, 8)], Reason.PORT_UNASSIGNED),
        ([block(A, 5), block(B, 3, 4, OTHER_ADDRESS)], (ADDRESS, 5)),
    ],
    ids=range(16),
)
def test_whom_a_port_belongs_to(blocks: list[PortBlockRecord], expected: object) -> None:
    assert private_address(blocks, 9) == expected
    assert private_address(blocks[::-1], 9) == expected


# What an address stands for.


def test_what_a_session_holds() -> None:
    inside = prefix("20010db8/64")
    record = record_of(start("a", 0, ipv6=(inside, prefix("20010db9/64"))))
    assert holds(record, ADDRESS, 0)
    assert holds(record, inside, T - 1)
    assert not holds(record, ADDRESS, T)
    assert not holds(record, inside, T)
    assert not holds(record, OTHER_ADDRESS, 0)
    assert not holds(record, Ipv4Address("", ADDRESS.address), 0)
    assert not holds(record, prefix("20010db8/56"), 0)
    assert not holds(record_of(start("a", 0, ipv4=None)), ADDRESS, 0)
