from itertools import product

import pytest

from number_verification.sessions.feeds.radius.gateways import Gateways
from number_verification.sessions.feeds.radius.outcome import MalformedPacket
from number_verification.sessions.feeds.radius.packet import Attributes

IDENTIFIER, IPV4, IPV6 = 32, 4, 95
ALL: Attributes = {IDENTIFIER: [b"pgw-1"], IPV4: [b"\x0a\0\0\x01"], IPV6: [bytes(15) + b"\x01"]}
SOURCE = "192.0.2.1"


def some(*kinds: int) -> Attributes:
    return {kind: ALL[kind] for kind in kinds}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (ALL, "core/pgw-1"),
        (some(IPV4, IPV6), "core/10.0.0.1"),
        (some(IPV6), "core/::1"),
        ({}, "core/192.0.2.1"),
        ({IDENTIFIER: [b"\xff\x00"]}, "core/0xff00"),
    ],
)
def test_a_session_belongs_to_the_first_identity(attributes: Attributes, expected: str) -> None:
    gateways = Gateways()
    assert gateways.name("core", SOURCE, attributes) == expected
    assert gateways.name("core", SOURCE, attributes) == expected


def test_names_of_clients_are_apart() -> None:
    gateways = Gateways()
    gateways.name("other", SOURCE, ALL)
    assert gateways.name("core", SOURCE, ALL) == "core/pgw-1"
    assert not any(name.startswith("other/") for name in gateways.restarted("core", SOURCE, ALL))


SHAPES = [
    tuple(k for k, there in zip((IDENTIFIER, IPV4, IPV6), which, strict=True) if there)
    for which in product((False, True), repeat=3)
]


@pytest.mark.parametrize("of_session", SHAPES)
@pytest.mark.parametrize("of_restart", SHAPES)
def test_a_restart_is_about_the_sessions_whatever_identities_either_has(
    of_session: tuple[int, ...], of_restart: tuple[int, ...]
) -> None:
    gateways = Gateways()
    name = gateways.name("core", SOURCE, some(*of_session))
    about_it = name in gateways.restarted("core", SOURCE, some(*of_restart))
    # Nothing in common, not even an identity that the session was not named after: nobody can know.
    nothing_in_common = bool(of_session and of_restart) and not set(of_session) & set(of_restart)
    assert about_it is not nothing_in_common


def test_a_new_process_knows_what_the_restart_itself_says() -> None:
    assert Gateways().restarted("core", SOURCE, ALL) == ["core/pgw-1", "core/10.0.0.1", "core/::1", "core/192.0.2.1"]


def test_gateways_that_share_an_address_and_differ_in_their_identifier_are_apart() -> None:
    gateways = Gateways()
    gateways.name("core", SOURCE, {IDENTIFIER: [b"slice-2"], IPV4: ALL[IPV4]})
    restarted = gateways.restarted("core", SOURCE, {IDENTIFIER: [b"slice-1"], IPV4: ALL[IPV4]})
    assert restarted == ["core/slice-1", "core/10.0.0.1", "core/192.0.2.1"]


def test_what_is_remembered_has_a_bound() -> None:
    gateways = Gateways(capacity=3)
    for n in range(50):
        gateways.name("core", SOURCE, {IDENTIFIER: [b"%d" % n], IPV4: ALL[IPV4]})
    restarted = gateways.restarted("core", SOURCE, some(IPV4))
    assert restarted == ["core/10.0.0.1", "core/192.0.2.1", "core/47", "core/48", "core/49"]


@pytest.mark.parametrize(
    "attributes", [{IPV4: [b"abc"]}, {IPV6: [b"abc"]}, {IDENTIFIER: [b""]}, {IDENTIFIER: [b"a", b"b"]}]
)
def test_an_identity_that_cannot_be_read_is_malformed(attributes: Attributes) -> None:
    for ask in (Gateways().name, Gateways().restarted):
        with pytest.raises(MalformedPacket):
            ask("core", SOURCE, attributes)
