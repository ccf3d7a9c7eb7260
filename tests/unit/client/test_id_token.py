import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from number_verification_client import NumberVerificationError, Provider, ResponseRejected, TokenResponse, _id_token
from unit.client.provider import (
    ACCESS_TOKEN,
    CLIENT_ID,
    REDIRECT_URI,
    SCOPES,
    AuthorizationServer,
    exchange,
    refused,
    running_provider,
)

SIGNER = ECKey.generate_key("P-256")
RSA = RSAKey.generate_key(2048, {"kid": "k1"})


def part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def encoded(value: object) -> str:
    return part(json.dumps(value).encode())


AT_HASH = part(hashlib.sha256(ACCESS_TOKEN.encode()).digest()[:16])


def exchanged(face: str, server: AuthorizationServer, changes: dict[str, Any], **header: Any) -> TokenResponse:
    """An exchange whose ID token has these claims in place of the right ones; None takes one away.

    A claim that is a function is what it returns when the token is made.
    """
    request = Provider(**server.metadata).authorization_request(CLIENT_ID, REDIRECT_URI, [*SCOPES, "openid"])
    claims = server.claims(CLIENT_ID, request.nonce) | changes
    made = {name: value() if callable(value) else value for name, value in claims.items()}
    present = {name: value for name, value in made.items() if value is not None}
    server.tokens["id_token"] = server.signed(present, **header)
    return exchange(face, server, request=request)


def rejected(face: str, server: AuthorizationServer, changes: dict[str, Any], **header: Any) -> str:
    with pytest.raises(ResponseRejected) as caught:
        exchanged(face, server, changes, **header)
    assert caught.value.reason == "ID_TOKEN_INVALID"
    return caught.value.message


def test_a_good_id_token(face: str, server: AuthorizationServer) -> None:
    tokens = exchanged(face, server, {})
    assert tokens.claims["sub"] == "u1"
    assert tokens.id_token == server.tokens["id_token"]
    assert [asked.path for asked in server.asked] == ["/oauth2/token", "/oauth2/jwks"]


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [CLIENT_ID]},
        {"azp": CLIENT_ID},
        {"at_hash": AT_HASH},
        {"exp": lambda: time.time() - 30},
        {"iat": lambda: time.time() + 30},
    ],
)
def test_an_id_token_that_may_pass(face: str, server: AuthorizationServer, changes: dict[str, Any]) -> None:
    assert exchanged(face, server, changes).claims["sub"] == "u1"


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"iss": None}, "issuer"),
        ({"iss": "https://other.example"}, "issuer"),
        ({"iss": 5}, "issuer"),
        ({"aud": None}, "client"),
        ({"aud": "other"}, "client"),
        ({"aud": []}, "client"),
        ({"aud": [CLIENT_ID, "other"]}, "client"),
        ({"aud": {}}, "client"),
        ({"azp": "other"}, "client"),
        ({"exp": None}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": lambda: time.time() - 61}, "expired"),
        ({"exp": "9999999999"}, "expired"),
        ({"exp": True}, "expired"),
        ({"iat": None}, "future"),
        ({"iat": lambda: time.time() + 3600}, "future"),
        ({"iat": "0"}, "future"),
        ({"iat": True}, "future"),
        ({"nonce": None}, "request"),
        ({"nonce": "other"}, "request"),
        ({"nonce": "ü"}, "request"),
        ({"nonce": 5}, "request"),
        ({"sub": None}, "subject"),
        ({"sub": ""}, "subject"),
        ({"sub": "x" * 256}, "subject"),
        ({"sub": 5}, "subject"),
        ({"at_hash": "other"}, "access token"),
        ({"at_hash": 5}, "access token"),
    ],
)
def test_a_wrong_claim(face: str, server: AuthorizationServer, changes: dict[str, Any], what: str) -> None:
    assert what in rejected(face, server, changes)


@pytest.mark.parametrize(
    "header", [{"kid": "other"}, {"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}, {"jwk": {"kty": "EC"}}]
)
def test_a_wrong_header(face: str, server: AuthorizationServer, header: dict[str, Any]) -> None:
    key = server.key

    def signed(claims: dict[str, Any], **more: Any) -> str:
        complete = {"alg": "ES256", "kid": "k1"} | more
        signing_input = f"{encoded(complete)}.{encoded(claims)}"
        return f"{signing_input}.{part(jws.JWSRegistry.algorithms['ES256'].sign(signing_input.encode(), key))}"

    server.signed = signed  # type: ignore[method-assign]
    if header.get("jwk"):
        server.key, key = key, ECKey.generate_key("P-256")
        header = {"jwk": key.as_dict(private=False)}
    else:
        assert exchanged(face, server, {}).claims["sub"] == "u1"  # the helper signs well
    rejected(face, server, {}, **header)


def test_a_foreign_signature(face: str, server: AuthorizationServer) -> None:
    server.key = ECKey.generate_key("P-256", {"kid": "k1"})
    rejected(face, server, {})


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_changed_part(face: str, server: AuthorizationServer, number: int) -> None:
    genuine = server.signed

    def changed(claims: dict[str, Any], **header: Any) -> str:
        parts = genuine(claims, **header).split(".")
        parts[number] = ("B" if parts[number][0] == "A" else "A") + parts[number][1:]
        return ".".join(parts)

    server.signed = changed  # type: ignore[method-assign]
    rejected(face, server, {})


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_rsa(face: str, server: AuthorizationServer, algorithm: str) -> None:
    server.key = RSA
    server.jwks = {"keys": [RSA.as_dict(private=False)]}
    assert exchanged(face, server, {}, alg=algorithm).claims["sub"] == "u1"


def test_a_key_for_another_algorithm(face: str, server: AuthorizationServer) -> None:
    server.key = RSA
    server.jwks = {"keys": [RSA.as_dict(private=False) | {"alg": "PS256"}]}
    rejected(face, server, {}, alg="RS256")
    assert exchanged(face, server, {}, alg="PS256").claims["sub"] == "u1"


def test_the_public_key_as_a_secret(face: str, server: AuthorizationServer) -> None:
    public = RSA.as_pem(private=False)
    server.jwks = {"keys": [RSA.as_dict(private=False), {"kty": "oct", "kid": "k1", "k": part(public)}]}

    def signed(claims: dict[str, Any], **header: Any) -> str:
        signing_input = f"{encoded({'alg': 'HS256', 'kid': 'k1'})}.{encoded(claims)}"
        return f"{signing_input}.{part(hmac.digest(public, signing_input.encode(), 'sha256'))}"

    server.signed = signed  # type: ignore[method-assign]
    rejected(face, server, {})


def test_no_signature(face: str, server: AuthorizationServer) -> None:
    genuine = server.signed
    server.signed = lambda claims, **_: f"{encoded({'alg': 'none'})}.{genuine(claims).split('.')[1]}."  # type: ignore[method-assign]
    rejected(face, server, {})


def test_the_right_key_among_others(face: str, server: AuthorizationServer) -> None:
    public = server.key.as_dict(private=False)
    server.jwks = {
        "keys": [
            "not an object",
            {"kty": "AKP", "kid": "k1"},
            RSA.as_dict(private=False),
            ECKey.generate_key("P-256", {"kid": "k1", "use": "enc"}).as_dict(private=False),
            public,
            ECKey.generate_key("P-256", {"kid": "k2"}).as_dict(private=False),
        ]
    }
    assert exchanged(face, server, {}).claims["sub"] == "u1"
    rejected(face, server, {}, kid=None)  # which of the two?


def test_a_single_key_needs_no_name(face: str, server: AuthorizationServer) -> None:
    assert exchanged(face, server, {}, kid=None).claims["sub"] == "u1"


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": None},
        {"keys": {}},
        {"keys": 5},
        {"keys": []},
        {"keys": [{"kty": "EC", "kid": "k1"}]},
        {"keys": [{"kty": "EC", "kid": "k1", "crv": "P-256", "x": 5, "y": []}]},
        {"keys": [{"kty": "EC", "kid": "k1", "crv": "P-256", "x": "AA", "y": "AA"}]},
        {"keys": [{"kty": "EC", "kid": "k1", "crv": "P-999", "x": "AA", "y": "AA"}]},
        {"keys": [{"kty": "EC", "kid": "k1", "crv": [], "x": "AA", "y": "AA"}]},
        {"keys": [{"kty": "EC", "kid": "k1", "crv": "P-256", "x": "AA", "y": "AA", "use": "sig", "key_ops": 5}]},
    ],
)
def test_a_key_set_of_no_use(face: str, server: AuthorizationServer, jwks: object) -> None:
    server.jwks = jwks
    rejected(face, server, {})


def test_the_id_token_that_was_asked_for_is_missing(face: str, server: AuthorizationServer) -> None:
    request = Provider(**server.metadata).authorization_request(CLIENT_ID, REDIRECT_URI, [*SCOPES, "openid"])
    assert refused(face, server, request=request).reason == "ID_TOKEN_INVALID"


def test_an_id_token_that_was_not_asked_for_is_checked_too(face: str, server: AuthorizationServer) -> None:
    server.tokens["id_token"] = "a.b.c"
    assert refused(face, server).reason == "ID_TOKEN_INVALID"


def test_the_keys_cannot_be_fetched(face: str) -> None:
    with running_provider() as server:
        server.metadata["jwks_uri"] = server.issuer + "/nowhere"
        server.tokens["id_token"] = "a.b.c"
        assert refused(face, server).reason == "MALFORMED_ANSWER"


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
keys = st.fixed_dictionaries(
    {"kty": st.sampled_from(["EC", "RSA", "oct"])},
    optional={
        name: json_values | st.sampled_from(["k1", "P-256", "AQAB", "sig", "ES256"])
        for name in ("kid", "crv", "x", "y", "n", "e", "d", "use", "alg", "key_ops")
    },
)
headers = st.fixed_dictionaries(
    {"alg": st.sampled_from(["ES256", "RS256", "PS256", "none", "HS256"]) | json_values},
    optional=dict.fromkeys(("kid", "typ", "crit", "jwk", "b64", "x5c"), json_values),
)


id_tokens = st.text(max_size=60) | st.builds(
    lambda header, claims, signature: f"{encoded(header)}.{encoded(claims)}.{encoded(signature)}",
    headers | json_values,
    json_values,
    st.text(max_size=64),
)


@settings(deadline=None)  # the machine may be busy
@given(id_tokens, st.fixed_dictionaries({}, optional={"keys": st.lists(keys | json_values, max_size=2) | json_values}))
def test_any_id_token_and_key_set_is_refused_in_order(id_token: str, key_set: dict[str, Any]) -> None:
    with pytest.raises(NumberVerificationError):
        _id_token.validated(
            id_token, key_set, issuer="https://op.example", client_id=CLIENT_ID, nonce="n", access_token=ACCESS_TOKEN
        )


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.sampled_from(["iss", "aud", "azp", "exp", "iat", "nonce", "sub", "at_hash"]), json_values))
def test_any_signed_claims_are_refused_in_order(claims: dict[str, Any]) -> None:
    signed = jws.serialize_compact({"alg": "ES256"}, json.dumps(claims), SIGNER, algorithms=["ES256"])
    with pytest.raises(NumberVerificationError):
        _id_token.validated(
            signed,
            {"keys": [SIGNER.as_dict(private=False)]},
            issuer="https://op.example",
            client_id=CLIENT_ID,
            nonce="n",
            access_token=ACCESS_TOKEN,
        )
