"""Client authentication with a signed assertion: `private_key_jwt` (OpenID Connect Core §9, RFC 7523)."""

import secrets
import time
from collections.abc import Mapping
from typing import Any, TypeAlias

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey, import_key

LIFETIME = 120
"""Seconds an assertion is valid. CAMARA allows 300; the rest is room for clocks that disagree."""

SigningKey: TypeAlias = ECKey | RSAKey | Mapping[str, Any]
"""A private key: P-256, or RSA of 2048 bits or more. As a JWK, or as joserfc reads it from PEM (`ECKey.import_key`)."""


def client_assertion(client_id: str, key: SigningKey, audience: str) -> str:
    """A JWT that proves who the client is. For one request: the server takes each only once.

    Args:
        client_id: as registered with the operator.
        key: the private key whose public half is registered. P-256 signs ES256; RSA signs RS256, or PS256 where the
            key's `alg` says so. Its `kid`, if it has one, is named in the header.
        audience: the URL of the endpoint that the request goes to.

    Raises:
        ValueError: the key is not such a key. Nothing of the key is in the exception.
    """
    private_key = _imported(key)
    algorithm = _algorithm(private_key)
    header = {"alg": algorithm} | ({"kid": private_key.kid} if private_key.kid else {})
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": secrets.token_urlsafe(32),
    }
    return jwt.encode(header, claims, private_key, algorithms=[algorithm])


def _imported(key: SigningKey) -> ECKey | RSAKey:
    try:
        imported = import_key(dict(key)) if isinstance(key, Mapping) else key
        imported.check_use("sig")
    except (JoseError, ValueError, TypeError, KeyError):
        raise ValueError("the key is not a well-formed JWK for signatures") from None
    if not isinstance(imported, ECKey | RSAKey) or not imported.is_private:
        raise ValueError("the key is not a private EC or RSA key")
    return imported


def _algorithm(key: ECKey | RSAKey) -> str:
    if isinstance(key, ECKey):
        possible = ["ES256"] if key.curve_name == "P-256" else []
    else:
        possible = ["RS256", "PS256"] if key.raw_value.key_size >= 2048 else []
    for algorithm in possible:
        if key.alg in (None, algorithm):
            return algorithm
    raise ValueError("the key must be P-256 for ES256, or RSA of 2048 bits or more for RS256 or PS256")
