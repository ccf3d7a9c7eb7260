import time
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from number_verification_client import client_assertion

AUDIENCE = "https://op.example/token"
EC = ECKey.generate_key("P-256", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
PSS = RSAKey.import_key(RSA.as_dict(private=True) | {"alg": "PS256"})


def private(key: Any) -> dict[str, Any]:
    return dict(key.as_dict(private=True))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (EC, "ES256"),
        (private(EC), "ES256"),
        (private(EC) | {"alg": "ES256"}, "ES256"),
        (RSA, "RS256"),
        (private(RSA) | {"alg": "RS256"}, "RS256"),
        (PSS, "PS256"),
        (private(PSS), "PS256"),
        (ECKey.import_key(EC.as_pem(private=True)), "ES256"),
    ],
)
def test_assertion(key: Any, algorithm: str) -> None:
    assertion = client_assertion("bank", key, AUDIENCE)
    token = jwt.decode(assertion, EC if algorithm == "ES256" else RSA, algorithms=[algorithm])
    assert token.header["alg"] == algorithm
    assert token.header.get("kid") == key.get("kid")
    assert (token.claims["iss"], token.claims["sub"], token.claims["aud"]) == ("bank", "bank", AUDIENCE)
    assert abs(token.claims["iat"] - time.time()) < 5
    assert 60 <= token.claims["exp"] - token.claims["iat"] <= 120
    assert len(token.claims["jti"]) >= 32


def test_every_assertion_is_new() -> None:
    identifiers = {
        jwt.decode(client_assertion("bank", EC, AUDIENCE), EC, algorithms=["ES256"]).claims["jti"] for _ in range(20)
    }
    assert len(identifiers) == 20


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in private(EC).items() if key != name}


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"kty": None},
        {"kty": []},
        without("kty"),
        without("d"),
        without("x"),
        without("crv"),
        private(EC) | {"x": "AA"},
        private(EC) | {"x": 5},
        private(EC) | {"crv": "P-999"},
        private(EC) | {"alg": "RS256"},
        private(EC) | {"alg": "HS256"},
        private(EC) | {"use": 5},
        private(RSA) | {"alg": "RS512"},
        private(RSA) | {"alg": "none"},
        private(OctKey.generate_key(256)),
        private(OKPKey.generate_key("Ed25519")),
        private(ECKey.generate_key("P-384")),
        EC.as_dict(private=False),
        ECKey.import_key(EC.as_dict(private=False)),
        ECKey.generate_key("P-384"),
    ],
)
def test_an_unfit_key(key: Any) -> None:
    with pytest.raises(ValueError, match="the key") as caught:
        client_assertion("bank", key, AUDIENCE)
    assert private(EC)["d"] not in repr(caught.value)
    assert private(EC)["x"] not in repr(caught.value)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_short_rsa_key() -> None:
    with pytest.raises(ValueError, match="the key"):
        client_assertion("bank", RSAKey.generate_key(1024), AUDIENCE)


def test_a_key_for_encryption() -> None:
    with pytest.raises(ValueError, match="the key"):
        client_assertion("bank", private(EC) | {"use": "enc"}, AUDIENCE)
