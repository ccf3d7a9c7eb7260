"""JWT access tokens of external issuers: every claim missing or wrong in turn, and one use only."""

import threading
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from number_verification.authorization import external_tokens
from number_verification.authorization.claims import LEEWAY
from number_verification.authorization.external_tokens import ExternalIssuer
from number_verification.authorization.jose import KeysUnavailable, VerificationKey
from number_verification.authorization.jwks import StaticKeySet
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.grant import AccessGrant, AuthenticationMethod
from number_verification.domain.refusal import Kind, Reason, Refusal
from unit.authorization.support import KEYS, NOW, REMOVED, RSA, SECONDS, DictStore, changed, mint, public

ISSUER = "https://idp.operator.example"
AUDIENCE = "https://api.operator.example"
NUMBER = "+99012345678"
CLAIMS = {
    "iss": ISSUER,
    "sub": "user-1",
    "aud": AUDIENCE,
    "client_id": "bank",
    "exp": SECONDS + 240,
    "iat": SECONDS - 10,
    "jti": "token-1",
    "scope": "dpv:FraudPreventionAndDetection number-verification:verify",
    "amr": ["nba"],
    "phone_number": NUMBER,
}
OTHER = "https://other.example"
ISSUERS = {
    ISSUER: ExternalIssuer(ISSUER, AUDIENCE, frozenset({"ES256", "RS256"}), KEYS),
    OTHER: ExternalIssuer(OTHER, AUDIENCE, frozenset({"ES256"}), StaticKeySet(public())),
}


def redeem(token: str, store: DictStore | None = None, now: int = NOW) -> AccessGrant:
    return external_tokens.redeem(token, ISSUERS, store or DictStore(), now)


def refusal(token: str, store: DictStore | None = None, now: int = NOW) -> Reason:
    """The reason of a refusal that does not use the token up."""
    store = store or DictStore()
    before = dict(store.values)
    with pytest.raises(Refusal) as caught:
        redeem(token, store, now)
    assert caught.value.kind is Kind.UNAUTHENTICATED
    assert store.values == before
    return caught.value.reason


def test_a_grant() -> None:
    assert redeem(mint(CLAIMS)) == AccessGrant(
        client_id="bank",
        scopes=frozenset({"dpv:FraudPreventionAndDetection", "number-verification:verify"}),
        purpose="dpv:FraudPreventionAndDetection",
        method=AuthenticationMethod.NETWORK,
        authenticated_at=(SECONDS - 10) * 1000,
        issued_at=(SECONDS - 10) * 1000,
        expires_at=(SECONDS + 240) * 1000,
        anchor=None,
        phone_number=NUMBER,
    )


@pytest.mark.parametrize("name", ["iss", "sub", "aud", "client_id", "exp", "iat", "jti"])
@pytest.mark.parametrize("value", [REMOVED, None, "", 0, True, -1, 1.5, [], {}, [1], {"a": 1}], ids=repr)
def test_mandatory_claims(name: str, value: Any) -> None:
    assert refusal(mint(changed(CLAIMS, **{name: value}))) in (
        Reason.TOKEN_CLAIMS,
        Reason.TOKEN_ISSUER if name == "iss" else Reason.TOKEN_CLAIMS,
        Reason.TOKEN_AUDIENCE if (name, value) == ("aud", "") else Reason.TOKEN_CLAIMS,
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": ISSUER + "/"}, Reason.TOKEN_ISSUER),
        ({"iss": "https://stranger.example"}, Reason.TOKEN_ISSUER),
        ({"iss": OTHER}, Reason.TOKEN_SIGNATURE),
        ({"iss": [ISSUER]}, Reason.TOKEN_CLAIMS),
        ({"aud": "https://other-api.example"}, Reason.TOKEN_AUDIENCE),
        ({"aud": ["https://other-api.example"]}, Reason.TOKEN_AUDIENCE),
        ({"aud": [AUDIENCE, 1]}, Reason.TOKEN_CLAIMS),
        ({"exp": SECONDS + 291}, Reason.TOKEN_CLAIMS),
        ({"exp": SECONDS + 10_000_000}, Reason.TOKEN_CLAIMS),
        ({"exp": str(SECONDS + 240)}, Reason.TOKEN_CLAIMS),
        ({"iat": str(SECONDS - 10)}, Reason.TOKEN_CLAIMS),
        ({"iat": SECONDS - 20, "exp": SECONDS - 5}, Reason.TOKEN_EXPIRED),
        ({"iat": SECONDS + 6}, Reason.TOKEN_NOT_YET_VALID),
        ({"nbf": SECONDS + 6}, Reason.TOKEN_NOT_YET_VALID),
        ({"nbf": "soon"}, Reason.TOKEN_CLAIMS),
        ({"auth_time": "then"}, Reason.TOKEN_CLAIMS),
        ({"scope": ["number-verification:verify"]}, Reason.TOKEN_CLAIMS),
        ({"scope": None}, Reason.TOKEN_CLAIMS),
        ({"amr": "nba"}, Reason.TOKEN_CLAIMS),
        ({"amr": None}, Reason.TOKEN_CLAIMS),
        ({"amr": ["nba", 1]}, Reason.TOKEN_CLAIMS),
        ({"amr": {"nba": True}}, Reason.TOKEN_CLAIMS),
        ({"phone_number": REMOVED}, Reason.TOKEN_CLAIMS),
        ({"phone_number": REMOVED, "amr": ["sim"]}, Reason.TOKEN_CLAIMS),
        ({"phone_number": None}, Reason.TOKEN_CLAIMS),
        ({"phone_number": "", "amr": ["pwd"]}, Reason.TOKEN_CLAIMS),
        ({"phone_number": 99012345678}, Reason.TOKEN_CLAIMS),
        ({"phone_number": NUMBER[1:]}, Reason.TOKEN_CLAIMS),
        ({"phone_number": NUMBER + "\n"}, Reason.TOKEN_CLAIMS),
        ({"phone_number": [NUMBER]}, Reason.TOKEN_CLAIMS),
        ({"phone_number": "+0990123456"}, Reason.TOKEN_CLAIMS),
        ({"phone_number": "+" + "9" * 16, "amr": ["pwd"]}, Reason.TOKEN_CLAIMS),
    ],
    ids=str,
)
def test_a_wrong_claim(change: dict[str, Any], reason: Reason) -> None:
    assert refusal(mint(changed(CLAIMS, **change))) is reason


@pytest.mark.parametrize(
    ("amr", "method"),
    [
        (["nba"], AuthenticationMethod.NETWORK),
        (["sim"], AuthenticationMethod.SIM),
        (["pwd", "sim", "nba"], AuthenticationMethod.NETWORK),
        (["sms", "sim"], AuthenticationMethod.SIM),
        (["sms"], AuthenticationMethod.OTHER),
        (["pwd", "otp"], AuthenticationMethod.OTHER),
        (["NBA"], AuthenticationMethod.OTHER),
        (["other"], AuthenticationMethod.OTHER),
        ([], AuthenticationMethod.OTHER),
        (REMOVED, AuthenticationMethod.OTHER),
    ],
)
def test_authentication_methods(amr: Any, method: AuthenticationMethod) -> None:
    assert redeem(mint(changed(CLAIMS, amr=amr))).method is method


def test_a_number_is_not_needed_where_it_proves_nothing() -> None:
    assert redeem(mint(changed(CLAIMS, amr=["pwd"], phone_number=REMOVED))).phone_number == ""


@pytest.mark.parametrize(
    ("scope", "scopes", "purpose"),
    [
        (REMOVED, set(), ""),
        ("", set(), ""),
        ("  a  b ", {"a", "b"}, ""),
        ("dpv:A number-verification:verify", {"dpv:A", "number-verification:verify"}, "dpv:A"),
        ("dpv:A dpv:B", {"dpv:A", "dpv:B"}, ""),
        ("a\tb", {"a\tb"}, ""),
    ],
)
def test_scopes_and_purpose(scope: Any, scopes: AbstractSet[str], purpose: str) -> None:
    grant = redeem(mint(changed(CLAIMS, scope=scope)))
    assert (grant.scopes, grant.purpose) == (scopes, purpose)


def test_audiences_and_times_that_are_fine() -> None:
    assert redeem(mint(changed(CLAIMS, aud=["x", AUDIENCE])))
    assert redeem(mint(changed(CLAIMS, iat=SECONDS + 5, exp=SECONDS + 305, nbf=SECONDS + 5)))
    assert redeem(mint(changed(CLAIMS, auth_time=SECONDS - 3600))).authenticated_at == (SECONDS - 3600) * 1000
    assert redeem(mint(changed(CLAIMS, auth_time=0))).authenticated_at == 0
    assert redeem(mint(CLAIMS, typ="application/at+jwt"))
    assert redeem(mint(CLAIMS, RSA, "RS256"))


@pytest.mark.parametrize("typ", [None, "JWT", "id+jwt", "at"])
def test_other_tokens_of_the_issuer_are_none(typ: str | None) -> None:
    assert refusal(mint(CLAIMS, typ=typ)) is Reason.TOKEN_MALFORMED


def test_algorithms_are_those_of_the_issuer() -> None:
    assert refusal(mint(CLAIMS, RSA, "PS256")) is Reason.TOKEN_SIGNATURE


@pytest.mark.parametrize("token", ["", "x", "..", "a.b", "a.b.c", "a.b.c.d.e", "x" * 100_000, "." * 100_000])
def test_what_is_no_token(token: str) -> None:
    assert refusal(token) is Reason.TOKEN_MALFORMED


def test_one_use() -> None:
    store, token = DictStore(), mint(CLAIMS)
    redeem(token, store)
    assert refusal(token, store) is Reason.TOKEN_USED
    # The same jti in another token is used up as well; another jti is not, nor is that of another issuer.
    assert refusal(mint({**CLAIMS, "sub": "user-2"}), store) is Reason.TOKEN_USED
    redeem(mint({**CLAIMS, "jti": "token-2"}), store)
    assert list(store.expiries.values()) == [(SECONDS + 240) * 1000 + LEEWAY] * 2
    assert all(b"token" not in key and len(key) <= 255 for key in store.values)


def test_a_jti_belongs_to_its_issuer() -> None:
    issuers = {iss: ExternalIssuer(iss, AUDIENCE, frozenset({"ES256"}), KEYS) for iss in ("https://a", "https://ab")}
    store = DictStore()
    for iss, jti in (("https://a", "bc"), ("https://ab", "c"), ("https://ab", "bc")):
        assert external_tokens.redeem(mint({**CLAIMS, "iss": iss, "jti": jti}), issuers, store, NOW)


def test_a_jti_is_remembered_for_as_long_as_the_token_is_good() -> None:
    store, token = DictStore(), mint(CLAIMS)
    last = (SECONDS + 240) * 1000 + LEEWAY - 1
    redeem(token, store, last)
    assert next(iter(store.expiries.values())) > last
    assert refusal(mint({**CLAIMS, "jti": "2"}), store, last + 1) is Reason.TOKEN_EXPIRED


def test_of_many_at_once_one_wins() -> None:
    racers, rounds = 8, 40
    store = DictStore()
    start = threading.Barrier(racers)

    def race(token: str) -> Reason | None:
        start.wait()
        try:
            redeem(token, store)
        except Refusal as refused:
            return refused.reason
        return None

    with ThreadPoolExecutor(racers) as pool:
        for number in range(rounds):
            token = mint({**CLAIMS, "jti": f"race-{number}"})
            outcomes = list(pool.map(race, [token] * racers))
            assert outcomes.count(None) == 1
            assert outcomes.count(Reason.TOKEN_USED) == racers - 1


def test_what_the_store_may_have_forgotten_is_refused() -> None:
    issued = CLAIMS["iat"]
    assert isinstance(issued, int)
    assert redeem(mint(CLAIMS), DictStore(remembers_since=issued * 1000 + 999))
    assert refusal(mint(CLAIMS), DictStore(remembers_since=issued * 1000 + 1000)) is Reason.TOKEN_USED


def test_a_store_that_cannot_tell() -> None:
    class Broken(DictStore):
        def add(self, *_: object, **__: object) -> bool:
            raise StoreUnavailable

    with pytest.raises(StoreUnavailable):
        redeem(mint(CLAIMS), Broken())


def test_an_issuer_whose_keys_cannot_be_had() -> None:
    class Unreachable:
        def find(self, *_: object, **__: object) -> VerificationKey | None:
            raise KeysUnavailable(7)

    issuers = {ISSUER: ExternalIssuer(ISSUER, AUDIENCE, frozenset({"ES256"}), Unreachable())}
    with pytest.raises(Refusal) as caught:
        external_tokens.redeem(mint(CLAIMS), issuers, DictStore(), NOW)
    refused = caught.value
    assert (refused.kind, refused.reason, refused.retry_after) == (Kind.UNAVAILABLE, Reason.ISSUER_UNREACHABLE, 7)


@pytest.mark.parametrize(
    ("issuer", "audience", "algorithms"),
    [("", AUDIENCE, {"ES256"}), (ISSUER, "", {"ES256"}), (ISSUER, AUDIENCE, set()), (ISSUER, AUDIENCE, {"HS256"}),
     (ISSUER, AUDIENCE, {"ES256", "none"})],
)  # fmt: skip
def test_an_issuer_is_whole_or_nothing(issuer: str, audience: str, algorithms: set[str]) -> None:
    with pytest.raises(ValueError, match="external issuer"):
        ExternalIssuer(issuer, audience, frozenset(algorithms), KEYS)


def test_nothing_of_a_token_shows() -> None:
    token = mint({**CLAIMS, "phone_number": NUMBER + "x"})
    with pytest.raises(Refusal) as caught:
        redeem(token)
    assert NUMBER not in repr(caught.value)
    assert caught.value.__suppress_context__
    assert NUMBER not in repr(redeem(mint(CLAIMS)))
