"""private_key_jwt: every claim missing or wrong in turn, one use only, and nothing told to strangers."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import ECKey

from number_verification.authorization import jose
from number_verification.authorization.client_assertion import (
    ASSERTION_TYPE,
    ClientAuthenticationFailed,
    ClientNotServed,
    verify_client_assertion,
)
from number_verification.authorization.client_keys import Client, ClientKeys
from number_verification.authorization.http_fetch import fetch_public_document
from number_verification.domain.application import Application
from number_verification.domain.onboarding.principal import Principal, PrincipalClient
from number_verification.domain.refusal import Reason
from unit.authorization.support import EC, NOW, OKP, REMOVED, RSA, SECONDS, DictStore, changed, mint, public

ISSUER = "https://issuer.example"
ENDPOINT = ISSUER + "/oauth2/token"
AUDIENCES = frozenset({ISSUER, ENDPOINT})
BANK = Application(
    client_id="bank",
    name="organizations/bank/applications/bank",
    customer="organizations/bank",
    channel_partner="",
    jwks=public(EC, RSA, OKP),
    jwks_uri="",
    redirect_uris=frozenset({"https://bank.example/cb"}),
    flows=frozenset(),
    scopes=frozenset({"openid"}),
    legal_bases={},
)
SHOP = replace(BANK, client_id="shop", objection=Reason.APPLICATION_SUSPENDED)
CLAIMS = {
    "iss": "bank", "sub": "bank", "aud": ENDPOINT, "iat": SECONDS, "exp": SECONDS + 300, "jti": "assertion-1",
}  # fmt: skip

CLIENT_KEYS = ClientKeys(fetch_public_document)


class Registry:
    def __init__(self, *clients: Client) -> None:
        self._clients = {client.client_id: client for client in clients}

    def find(self, client_id: str) -> Client | None:
        return self._clients.get(client_id)


def authenticate(
    assertion: str,
    *,
    assertion_type: str = ASSERTION_TYPE,
    client_id: str | None = None,
    store: DictStore | None = None,
    registry: Registry | None = None,
    now: int = NOW,
) -> Client:
    find = (registry or Registry(BANK, SHOP)).find
    return verify_client_assertion(
        assertion, assertion_type, client_id, find, CLIENT_KEYS, AUDIENCES, store or DictStore(), now
    )


def failure(assertion: str, **options: Any) -> ClientAuthenticationFailed:
    with pytest.raises(ClientAuthenticationFailed) as caught:
        authenticate(assertion, **options)
    assert str(caught.value) == caught.value.reason.value
    assert caught.value.description.isprintable()
    assert '"' not in caught.value.description  # RFC 6749 §5.2
    return caught.value


def assertion(claims: Mapping[str, Any] = CLAIMS, **options: Any) -> str:
    return mint(claims, **{"typ": "JWT", **options})


@pytest.mark.parametrize(("alg", "key"), [("ES256", EC), ("RS256", RSA), ("PS256", RSA)])
@pytest.mark.parametrize("typ", [None, "JWT", "client-authentication+jwt"])
def test_a_client(alg: str, key: Any, typ: str | None) -> None:
    assert authenticate(assertion(alg=alg, key=key, typ=typ)) is BANK


@pytest.mark.parametrize("audience", [ENDPOINT, ISSUER, [ISSUER], ["https://else.example", ENDPOINT]])
def test_audiences(audience: Any) -> None:
    assert authenticate(assertion({**CLAIMS, "aud": audience})) is BANK


@pytest.mark.parametrize("name", sorted(CLAIMS))
@pytest.mark.parametrize("value", [REMOVED, None, "", 0, True, -1, 1.5, [], {}, [1], ["bank"], {"a": 1}], ids=repr)
def test_mandatory_claims(name: str, value: Any) -> None:
    store = DictStore()
    reason = failure(assertion(changed(CLAIMS, **{name: value})), store=store).reason
    assert reason in (Reason.TOKEN_CLAIMS, Reason.TOKEN_AUDIENCE if name == "aud" else Reason.TOKEN_CLAIMS)
    assert not store.values


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"iss": "shop"}, Reason.TOKEN_CLAIMS),
        ({"aud": ENDPOINT + "/"}, Reason.TOKEN_AUDIENCE),
        ({"aud": ["https://else.example"]}, Reason.TOKEN_AUDIENCE),
        ({"exp": SECONDS + 301}, Reason.TOKEN_CLAIMS),
        ({"iat": SECONDS - 100, "exp": SECONDS - 6}, Reason.TOKEN_EXPIRED),
        ({"iat": SECONDS + 7, "exp": SECONDS + 100}, Reason.TOKEN_NOT_YET_VALID),
        ({"nbf": SECONDS + 7}, Reason.TOKEN_NOT_YET_VALID),
        ({"nbf": "later"}, Reason.TOKEN_CLAIMS),
    ],
    ids=str,
)
def test_a_wrong_claim(change: dict[str, Any], reason: Reason) -> None:
    assert failure(assertion({**CLAIMS, **change})).reason is reason


@pytest.mark.parametrize("typ", ["at+jwt", "oauth-authz-req+jwt", "dpop+jwt"])
def test_other_jwts_of_the_client_are_no_assertions(typ: str) -> None:
    assert failure(assertion(typ=typ)).reason is Reason.TOKEN_MALFORMED


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_algorithms_of_the_profile_only(alg: str) -> None:
    assert failure(assertion(alg=alg, key=OKP)).reason is Reason.TOKEN_SIGNATURE


@pytest.mark.parametrize("kind", ["", "jwt-bearer", ASSERTION_TYPE + " ", ASSERTION_TYPE.upper()])
def test_the_assertion_type(kind: str) -> None:
    assert failure(assertion(), assertion_type=kind).reason is Reason.INPUT_MALFORMED


def test_a_client_id_beside_the_assertion_must_agree() -> None:
    assert authenticate(assertion(), client_id="bank") is BANK
    assert failure(assertion(), client_id="shop").reason is Reason.TOKEN_CLAIMS
    assert failure(assertion(), client_id="").reason is Reason.TOKEN_CLAIMS


@pytest.mark.parametrize("text", ["", "x", "..", "a.b.c", "é.é.é", "\ud800", "x" * 100_000, assertion() + "x" * 20_000])
def test_what_is_no_assertion(text: str) -> None:
    assert failure(text).reason in (Reason.TOKEN_MALFORMED, Reason.TOKEN_SIGNATURE)


def test_one_use() -> None:
    store = DictStore()
    authenticate(assertion(), store=store)
    assert failure(assertion(), store=store).reason is Reason.TOKEN_USED
    assert authenticate(assertion({**CLAIMS, "jti": "assertion-2"}), store=store) is BANK
    assert failure(assertion(), store=DictStore(remembers_since=SECONDS * 1000 + 1000)).reason is Reason.TOKEN_USED


def test_a_failed_assertion_is_not_used_up() -> None:
    store = DictStore()
    forged = assertion(key=ECKey.generate_key("P-256", {"kid": "ec"}))
    assert failure(forged, store=store).reason is Reason.TOKEN_SIGNATURE
    assert authenticate(assertion(), store=store) is BANK


def test_of_two_at_once_one_wins() -> None:
    store = DictStore()
    start = threading.Barrier(2)

    def race(text: str) -> bool:
        start.wait()
        try:
            authenticate(text, store=store)
        except ClientAuthenticationFailed:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        for number in range(100):
            text = assertion({**CLAIMS, "jti": f"race-{number}"})
            assert sorted(pool.map(race, [text, text])) == [False, True]


def test_a_stranger_cannot_tell_which_clients_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown client, wrong signature, unknown kid, no key for the algorithm: same text, one signature check each."""
    checked: list[str] = []
    for algorithm in jose.ALGORITHMS:
        model = type(jose._registry.get_alg(algorithm))

        def counted(self: Any, msg: bytes, sig: bytes, key: Any, verify: Any = model.verify) -> bool:
            checked.append(self.name)
            return bool(verify(self, msg, sig, key))

        if not getattr(model.verify, "counted", False):
            counted.counted = True  # type: ignore[attr-defined]
            monkeypatch.setattr(model, "verify", counted)
    stranger = ECKey.generate_key("P-256", {"kid": "ec"})
    only_ec = Registry(replace(BANK, jwks=public(EC)), replace(SHOP, jwks=public(EC)))
    nobody = {**CLAIMS, "iss": "nobody", "sub": "nobody"}
    shop = {**CLAIMS, "iss": "shop", "sub": "shop"}
    cases = [
        (Reason.APPLICATION_UNKNOWN, assertion(nobody, key=stranger)),
        (Reason.APPLICATION_UNKNOWN, assertion(nobody, key=RSA, alg="RS256")),
        (Reason.APPLICATION_UNKNOWN, assertion({"sub": "nobody"}, key=stranger)),
        (Reason.TOKEN_SIGNATURE, assertion(key=stranger)),
        (Reason.TOKEN_SIGNATURE, assertion({"sub": "bank"}, key=stranger)),
        (Reason.TOKEN_SIGNATURE, assertion(key=stranger, kid="unknown")),
        (Reason.TOKEN_SIGNATURE, assertion(key=RSA, alg="RS256")),
        (Reason.TOKEN_SIGNATURE, assertion(shop, key=stranger)),
    ]
    descriptions = set()
    for reason, text in cases:
        checked.clear()
        failed = failure(text, registry=only_ec)
        assert failed.reason is reason
        assert len(checked) == 1
        descriptions.add(failed.description)
    assert len(descriptions) == 1


def test_a_suspended_client_is_told_so_only_with_its_own_key() -> None:
    shop = {**CLAIMS, "iss": "shop", "sub": "shop"}
    store = DictStore()
    with pytest.raises(ClientNotServed) as refused:
        authenticate(assertion(shop), store=store)
    assert refused.value.reason is Reason.APPLICATION_SUSPENDED
    # Used up all the same: it was good.
    assert failure(assertion(shop), store=store).reason is Reason.TOKEN_USED
    assert failure(assertion(shop, key=ECKey.generate_key("P-256", {"kid": "ec"}))).reason is Reason.TOKEN_SIGNATURE


def test_keys_that_change_count_at_once() -> None:
    new = ECKey.generate_key("P-256", {"kid": "new"})
    authenticate(assertion())
    rolled = Registry(replace(BANK, jwks=public(new)))
    assert failure(assertion(), registry=rolled).reason is Reason.TOKEN_SIGNATURE
    assert authenticate(assertion(key=new), registry=rolled).client_id == "bank"
    assert authenticate(assertion()) is BANK


def test_a_principal_authenticates_like_an_application() -> None:
    ada = PrincipalClient(Principal("organizations/bank/people/ada", frozenset({"user"})), "bank", public(EC))
    registry = Registry(ada)
    assert authenticate(assertion(), registry=registry) is ada
    suspended = Registry(replace(ada, objection=Reason.PERSON_SUSPENDED))
    with pytest.raises(ClientNotServed) as refused:
        authenticate(assertion(), registry=suspended)
    assert refused.value.reason is Reason.PERSON_SUSPENDED
    keyless = Registry(replace(ada, jwks={}))
    assert failure(assertion(), registry=keyless).reason is Reason.TOKEN_SIGNATURE
