"""ID tokens (OpenID Connect Core §2): who was authenticated, under a name that only this client knows the user by."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from number_verification.authorization import key_files
from number_verification.authorization.claims import MAX_LIFETIME
from number_verification.authorization.signing_keys import SigningKeys
from number_verification.domain.clock import SECOND
from number_verification.domain.grant import AccessGrant
from number_verification.domain.session import Subscriber

_SALT_FILE = "pairwise-salt"


def load_salt(directory: Path) -> bytes:
    """The secret that pairwise subjects are made with, created if there is none.

    It is never changed: with another one, every user would become somebody else to every client.

    Args:
        directory: where our keys are kept.

    Raises:
        KeyFileUnusable: it cannot be read or written.
    """
    return key_files.secret(directory / _SALT_FILE)


def pairwise_subject(salt: bytes, sector: str, subscriber: Subscriber) -> str:
    """The name of a subscriber for one sector, 43 characters (OpenID Connect Core §8.1).

    Made from the IMSI where it is known, as a number may pass on to somebody else. There are few enough numbers to try
    them all, so only the secret keeps the name from being traced back.

    Raises:
        ValueError: nothing is known of the subscriber.
    """
    if subscriber.imsi:
        identity = f"imsi:{subscriber.imsi}"
    elif subscriber.phone_number:
        identity = f"tel:{subscriber.phone_number}"
    else:
        raise ValueError("a subscriber without IMSI and number has no name")
    # The length keeps the two apart, whatever characters they hold.
    return _base64url(hmac.digest(salt, f"{len(sector)}:{sector}{identity}".encode(), hashlib.sha256))


def access_token_hash(access_token: str) -> str:
    """`at_hash` for ES256 (OpenID Connect Core §3.1.3.6)."""
    return _base64url(hashlib.sha256(access_token.encode("ascii")).digest()[:16])


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class IdTokens:
    """Issues ID tokens.

    Args:
        issuer: our `iss`.
        keys: what they are signed with.
        salt: what pairwise subjects are made with.
    """

    issuer: str
    keys: SigningKeys
    salt: bytes = field(repr=False)

    def issue(self, grant: AccessGrant, access_token: str, nonce: str = "") -> str:
        """An ID token beside an access token, issued at the same instant.

        Args:
            grant: what the access token stands for.
            access_token: which the ID token is bound to by its hash.
            nonce: of the authentication request; empty if it had none.

        Raises:
            ValueError: the grant names no user.
        """
        subscriber = grant.anchor.subscriber if grant.anchor else Subscriber("", grant.phone_number)
        issued_at = grant.issued_at // SECOND
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": pairwise_subject(self.salt, grant.client_id, subscriber),
            "aud": grant.client_id,
            "iat": issued_at,
            "exp": issued_at + MAX_LIFETIME // SECOND,
            "auth_time": grant.authenticated_at // SECOND,
            "amr": [grant.method.value],
            "at_hash": access_token_hash(access_token),
        }
        if nonce:
            claims["nonce"] = nonce
        return self.keys.sign(claims, typ="JWT")
