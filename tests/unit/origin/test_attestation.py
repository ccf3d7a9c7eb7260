"""Origin metadata of trusted edges."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.origin import Access, AttestedOrigin, TetheringAttestation
from number_verification.domain.refusal import Reason
from number_verification.origin.address import parse_address
from number_verification.origin.attestation import TrustedEdges, is_trusted_edge, parse_attestation

ADDRESS, ACCESS, TETHERED = (f"x-network-origin-{part}" for part in ("address", "access", "tethered"))


def test_nothing_attested() -> None:
    assert parse_attestation([]) is None
    assert parse_attestation([("authorization", "…"), ("x-network", "a"), ("forwarded", "for=203.0.113.7")]) is None


@pytest.mark.parametrize("access", list(Access))
@pytest.mark.parametrize("tethered", list(TetheringAttestation))
def test_everything_attested(access: Access, tethered: TetheringAttestation) -> None:
    metadata = [(TETHERED, tethered.value), ("x-other", "y"), (ACCESS, access.value), (ADDRESS, "203.0.113.7:40001")]
    assert parse_attestation(metadata) == AttestedOrigin(parse_address("203.0.113.7:40001"), access, tethered)


def test_what_is_left_out_is_unknown() -> None:
    unknown = AttestedOrigin(None, Access.UNKNOWN, TetheringAttestation.UNKNOWN)
    assert parse_attestation([(ADDRESS, "[2001:db8::1]:1")]) == unknown._replace(
        origin=parse_address("[2001:db8::1]:1")
    )
    assert parse_attestation([(ACCESS, "cellular")]) == unknown._replace(access=Access.CELLULAR)
    assert parse_attestation([(TETHERED, "no")]) == unknown._replace(tethered=TetheringAttestation.NO)


@pytest.mark.parametrize("name", [ADDRESS, ACCESS, TETHERED])
@pytest.mark.parametrize(
    "value", ["", "x", "Cellular", "cellular ", "cellular,wlan", "YES", "true", "1.2.3", b"yes", "no\n"]
)
def test_other_values_are_malformed(name: str, value: str | bytes) -> None:
    assert parse_attestation([(name, value)]) is Reason.ORIGIN_MALFORMED


@pytest.mark.parametrize(("name", "value"), [(ADDRESS, "203.0.113.7"), (ACCESS, "cellular"), (TETHERED, "no")])
def test_twice_is_malformed_even_where_both_agree(name: str, value: str) -> None:
    assert parse_attestation([(name, value), (name, value)]) is Reason.ORIGIN_MALFORMED


@pytest.mark.parametrize("name", ["x-network-origin-", "x-network-origin-port", "x-network-origin-address-bin"])
def test_other_names_under_the_prefix_are_malformed(name: str) -> None:
    assert parse_attestation([(name, "1"), (ACCESS, "cellular")]) is Reason.ORIGIN_MALFORMED


@given(
    st.lists(
        st.tuples(st.sampled_from([ADDRESS, ACCESS, TETHERED, ACCESS + "x", "other"]), st.text() | st.binary()),
        max_size=4,
    )
)
def test_arbitrary_metadata_is_an_attestation_or_malformed_or_none(metadata: list[tuple[str, str | bytes]]) -> None:
    attested = parse_attestation(metadata)
    assert attested in (None, Reason.ORIGIN_MALFORMED) or isinstance(attested, AttestedOrigin)
    assert (attested is None) == all(name == "other" for name, _ in metadata)


EDGES = TrustedEdges((ip_network("127.9.9.9/32"),), frozenset({"edge.operator.example"}))


@pytest.mark.parametrize(
    ("peer", "identities", "trusted"),
    [
        ("127.9.9.9", [], True),
        ("::ffff:127.9.9.9", [], True),
        ("127.9.9.8", [], False),
        ("127.9.9.8", ["edge.operator.example"], True),
        (None, ["other", "edge.operator.example"], True),
        (None, ["x.edge.operator.example", "EDGE.operator.example", "edge.operator.example.", ""], False),
        (None, [], False),
    ],
)
def test_trusted_edges(peer: str | None, identities: list[str], trusted: bool) -> None:
    origin = parse_address(peer) if peer else None
    assert is_trusted_edge(origin.address if origin else None, identities, EDGES) is trusted
    assert is_trusted_edge(origin.address if origin else None, identities, TrustedEdges()) is False
