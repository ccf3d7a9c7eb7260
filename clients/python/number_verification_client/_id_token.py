"""The checks of an ID token (OpenID Connect Core §3.1.3.7)."""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol, RSAKey

from number_verification_client.errors import ResponseRejected

CLOCK_SKEW = 60
"""Seconds by which the provider's clock and ours may disagree."""

_KEY_OF_ALGORITHM: dict[str, type[ECKey | RSAKey]] = {"ES256": ECKey, "RS256": RSAKey, "PS256": RSAKey}


def validated(
    id_token: str, key_set: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, access_token: str
) -> Mapping[str, Any]:
    """The claims of an ID token that passes every check.

    Raises:
        ResponseRejected: with the check that failed, without any value.
    """
    try:
        token = jwt.decode(id_token, lambda signed: _signer(signed, key_set), algorithms=list(_KEY_OF_ALGORITHM))
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        # From whatever joserfc and json meet in bytes that come from outside.
        raise _rejected("cannot be read, or its signature does not hold") from None
    claims = token.claims
    now = time.time()
    if claims.get("iss") != issuer:
        raise _rejected("is of another issuer")
    # No further audience is known to us, so none is trusted (step 3).
    if claims.get("aud") not in (client_id, [client_id]) or claims.get("azp", client_id) != client_id:
        raise _rejected("is for another client")
    if not _is_number(claims.get("exp")) or claims["exp"] <= now - CLOCK_SKEW:
        raise _rejected("is expired")
    if not _is_number(claims.get("iat")) or claims["iat"] > now + CLOCK_SKEW:
        raise _rejected("is from the future")
    if not _same(claims.get("nonce"), nonce):
        raise _rejected("belongs to another authorization request")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise _rejected("names no subject")
    if "at_hash" in claims and not _same(claims["at_hash"], _at_hash(access_token)):
        raise _rejected("belongs to another access token")
    return claims


def _signer(signed: GuestProtocol, key_set: Mapping[str, Any]) -> ECKey | RSAKey:
    header = signed.headers()
    kind = _KEY_OF_ALGORITHM[header["alg"]]
    candidates = [
        jwk
        for jwk in key_set["keys"]
        if isinstance(jwk, dict)
        and jwk.get("kty") == kind.key_type
        and jwk.get("use", "sig") == "sig"
        and header.get("kid", jwk.get("kid")) == jwk.get("kid")
    ]
    if len(candidates) != 1:
        raise ValueError("no key, or more than one")
    return kind.import_key(candidates[0])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(value: object, expected: str) -> bool:
    return isinstance(value, str) and hmac.compare_digest(value.encode(), expected.encode())


def _at_hash(access_token: str) -> str:
    """Core §3.1.3.6; every algorithm of ours hashes with SHA-256."""
    digest = hashlib.sha256(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def _rejected(what: str) -> ResponseRejected:
    return ResponseRejected(f"the ID token {what}", reason="ID_TOKEN_INVALID")
