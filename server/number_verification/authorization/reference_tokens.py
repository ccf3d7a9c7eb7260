"""Our own access tokens: random references to a grant, of which only the SHA-256 is kept (design D2)."""

import hashlib
import re
import secrets

from number_verification.authorization import grant_codec
from number_verification.authorization.claims import LEEWAY
from number_verification.domain.clock import Milliseconds
from number_verification.domain.grant import AccessGrant
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.onetime.store import OneTimeStore

_RANDOM_BYTES = 32
_is_reference = re.compile(r"[A-Za-z0-9_-]{43}").fullmatch


def is_reference_token(token: str) -> bool:
    """Whether the text has the form of a token of ours. A JWT has not: it has two dots."""
    return _is_reference(token) is not None


def key_of(token: str) -> bytes:
    """The key under which the store keeps a token's grant. The token cannot be had from it."""
    return b"token:" + hashlib.sha256(token.encode()).digest()


def issue(grant: AccessGrant, store: OneTimeStore) -> str:
    """A new token for the grant: 43 characters with 256 random bits.

    Raises:
        StoreUnavailable: the grant cannot be kept.
    """
    token = secrets.token_urlsafe(_RANDOM_BYTES)
    store.put(key_of(token), grant_codec.encode(grant), grant.expires_at)
    return token


def redeem(token: str, store: OneTimeStore, now: Milliseconds) -> AccessGrant:
    """The grant that a token stands for. The token is used up, whatever comes out.

    Raises:
        Refusal: UNAUTHENTICATED: TOKEN_MALFORMED; TOKEN_UNKNOWN where there never was such a token, or it was used or
            revoked; TOKEN_EXPIRED; TOKEN_NOT_YET_VALID where the clock was set back.
        StoreUnavailable: the token cannot be used up.
    """
    if not is_reference_token(token):
        raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_MALFORMED)
    content = store.take(key_of(token))
    if content is None:
        raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_UNKNOWN)
    try:
        grant = grant_codec.decode(content)
    except ValueError:
        # Issued by another version of this service: its holder asks for a new one.
        raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_UNKNOWN) from None
    if now >= grant.expires_at:
        raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_EXPIRED)
    if now < grant.issued_at - LEEWAY:
        # A store that compares with the same clock would keep the token for longer than it was meant to live.
        raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_NOT_YET_VALID)
    return grant


def revoke(key: bytes, store: OneTimeStore) -> None:
    """Make a token worthless, given its `key_of`.

    Raises:
        StoreUnavailable: that cannot be done.
    """
    store.take(key)
