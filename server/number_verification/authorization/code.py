"""Authorization codes: one use, at most 60 seconds, bound to client, redirect URI, PKCE and session."""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from typing import NamedTuple

from number_verification.authorization.grant_codec import decode_anchor, encode_anchor
from number_verification.domain.clock import SECOND, Milliseconds
from number_verification.domain.grant import SessionAnchor
from number_verification.onetime.store import OneTimeStore

LIFETIME: Milliseconds = 60 * SECOND

_CODE, _USED, _REUSED = b"code:", b"code-used:", b"code-reused:"


class Authorization(NamedTuple):
    """What a code stands for."""

    client_id: str
    redirect_uri: str
    scopes: frozenset[str]
    code_challenge: str
    nonce: str
    authenticated_at: Milliseconds
    """When the device was located and the subscriber's approval was looked up."""
    anchor: SessionAnchor

    def __repr__(self) -> str:
        return f"Authorization(client_id={self.client_id!r}, …)"


def issue(authorization: Authorization, store: OneTimeStore, now: Milliseconds) -> str:
    """A new code: 256 random bits, of which the store keeps the SHA-256 only."""
    code = secrets.token_urlsafe(32)
    fields = authorization._replace(scopes=sorted(authorization.scopes), anchor=encode_anchor(authorization.anchor))  # type: ignore[arg-type]
    store.put(_CODE + _digest(code), json.dumps(fields).encode(), now + LIFETIME)
    return code


def take(code: str, store: OneTimeStore) -> Authorization | None:
    """Use a code up; None if it is unknown, expired or used."""
    content = store.take(_CODE + _digest(code))
    if content is None:
        return None
    client_id, redirect_uri, scopes, challenge, nonce, authenticated_at, anchor = json.loads(content)
    return Authorization(
        client_id, redirect_uri, frozenset(scopes), challenge, nonce, authenticated_at, decode_anchor(anchor)
    )


def proves_possession(authorization: Authorization, code_verifier: str) -> bool:
    """Whether the verifier is the one that the challenge was made of (RFC 7636 §4.6, S256)."""
    challenge = urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(challenge, authorization.code_challenge.encode())


# A second use of a code revokes the token that the first use gave (RFC 6749 §4.1.2). The two uses may run at the same
# time in two processes. Each writes its own mark first and looks for the other's afterwards, so that whatever the
# order at least one of them sees both, and no token outlives a second use.


def token_given(code: str, token_key: bytes, store: OneTimeStore, expires_at: Milliseconds) -> bool:
    """Note which token a code gave. False if the code was used again meanwhile: the token must not be given."""
    digest = _digest(code)
    store.put(_USED + digest, token_key, expires_at)
    return store.take(_REUSED + digest) is None


def token_to_revoke(code: str, store: OneTimeStore, expires_at: Milliseconds) -> bytes | None:
    """Note that a code was used again. Returns the token that it gave, if it gave one already."""
    digest = _digest(code)
    store.put(_REUSED + digest, b"", expires_at)
    return store.take(_USED + digest)


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).digest()
