"""Our own access tokens and their grants as bytes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.authorization import grant_codec, reference_tokens
from number_verification.domain.grant import AccessGrant, AuthenticationMethod, SessionAnchor
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.domain.session import Ipv4Address, SessionKey, Subscriber
from unit.authorization.support import NOW, DictStore, mint

SUBSCRIBER = Subscriber("999991234567890", "+99012345678")
ANCHOR = SessionAnchor(SessionKey("pgw-1", "5f3a9c"), NOW - 1, SUBSCRIBER, Ipv4Address("internet", b"\x0a\0\0\1"))
GRANT = AccessGrant(
    client_id="bank",
    scopes=frozenset({"openid", "number-verification:verify"}),
    purpose="dpv:FraudPreventionAndDetection",
    method=AuthenticationMethod.NETWORK,
    authenticated_at=NOW - 5,
    issued_at=NOW,
    expires_at=NOW + 300_000,
    anchor=ANCHOR,
    application="organizations/bank/applications/app",
    customer="organizations/bank",
    channel_partner="organizations/aggregator",
)


def refusal(token: str, store: DictStore, now: int = NOW) -> Reason:
    with pytest.raises(Refusal) as caught:
        reference_tokens.redeem(token, store, now)
    assert caught.value.kind is Kind.UNAUTHENTICATED
    return caught.value.reason


def test_a_token_serves_once() -> None:
    store = DictStore()
    token = reference_tokens.issue(GRANT, store)
    assert len(token) == 43
    assert reference_tokens.is_reference_token(token)
    assert reference_tokens.redeem(token, store, NOW) == GRANT
    assert refusal(token, store) is Reason.TOKEN_UNKNOWN


def test_tokens_differ_and_are_kept_as_hashes() -> None:
    store = DictStore()
    tokens = {reference_tokens.issue(GRANT, store) for _ in range(50)}
    assert len(tokens) == 50
    assert set(store.values) == {b"token:" + hashlib.sha256(token.encode()).digest() for token in tokens}
    assert not any(token.encode() in key + value for key, value in store.values.items() for token in tokens)
    assert set(store.expiries.values()) == {GRANT.expires_at}


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (GRANT.expires_at, Reason.TOKEN_EXPIRED),
        (GRANT.expires_at + 10**9, Reason.TOKEN_EXPIRED),
        (NOW - 5_001, Reason.TOKEN_NOT_YET_VALID),
        (0, Reason.TOKEN_NOT_YET_VALID),
    ],
)
def test_times_are_checked_and_the_token_is_used_up(now: int, reason: Reason) -> None:
    store = DictStore()
    token = reference_tokens.issue(GRANT, store)
    assert refusal(token, store, now) is reason
    assert refusal(token, store) is Reason.TOKEN_UNKNOWN


@pytest.mark.parametrize("now", [NOW - 5_000, GRANT.expires_at - 1])
def test_the_limits_of_its_life(now: int) -> None:
    store = DictStore()
    assert reference_tokens.redeem(reference_tokens.issue(GRANT, store), store, now) == GRANT


def test_revoked() -> None:
    store = DictStore()
    token = reference_tokens.issue(GRANT, store)
    reference_tokens.revoke(reference_tokens.key_of(token), store)
    reference_tokens.revoke(reference_tokens.key_of(token), store)
    assert refusal(token, store) is Reason.TOKEN_UNKNOWN


@pytest.mark.parametrize(
    "token", ["", "a" * 42, "a" * 44, "a" * 42 + "=", "a" * 42 + "\n", "a" * 43 + "\n", "é" * 43, "٣" * 43,
              "\ud800" * 43, "a" * 100_000, mint({"sub": "x"})],
    ids=lambda token: ascii(token)[:12],
)  # fmt: skip
def test_what_is_no_token_does_not_reach_the_store(token: str) -> None:
    class Untouched(DictStore):
        def take(self, *_: object, **__: object) -> bytes | None:
            raise AssertionError

    assert not reference_tokens.is_reference_token(token)
    assert refusal(token, Untouched()) is Reason.TOKEN_MALFORMED


def test_what_another_version_wrote_is_unknown() -> None:
    store = DictStore()
    token = reference_tokens.issue(GRANT, store)
    store.values[reference_tokens.key_of(token)] = grant_codec.encode(GRANT).replace(b"[2,", b"[1,", 1)
    assert refusal(token, store) is Reason.TOKEN_UNKNOWN


_instants = st.integers(0, 2**53)
_texts = st.text(st.characters(exclude_categories=[]), max_size=20)
_scopes = st.frozensets(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1), max_size=4)
_addresses = st.builds(Ipv4Address, _texts, st.binary(min_size=4, max_size=4)) | st.binary(min_size=16, max_size=16)
_anchors = st.builds(
    SessionAnchor, st.builds(SessionKey, _texts, _texts), _instants, st.builds(Subscriber, _texts, _texts), _addresses
)
_grants = st.builds(
    AccessGrant,
    _texts, _scopes, _texts, st.sampled_from(AuthenticationMethod), _instants, _instants, _instants,
    st.none() | _anchors, _texts, _texts, _texts, _texts,
)  # fmt: skip


@given(_grants)
def test_any_grant_survives(grant: AccessGrant) -> None:
    assert grant_codec.decode(grant_codec.encode(grant)) == grant


@given(
    st.binary()
    | st.sampled_from(
        [b"[" * 100_000, b"[]", b"{}", b"1", b"[2,3,4,5,6,7,8,9,10,11,12,13,14]", b"[2" + b",{}" * 12 + b"]"]
    )
)
def test_any_other_bytes_are_no_grant(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a grant|another version") as caught:
        grant_codec.decode(content)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
