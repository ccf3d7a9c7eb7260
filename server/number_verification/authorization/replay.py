"""One use of a signed token: its `jti` is used up in the one-time store (invariant 5)."""

import hashlib

from number_verification.authorization.claims import LEEWAY, Times
from number_verification.authorization.jose import InvalidToken
from number_verification.domain.clock import SECOND, Milliseconds
from number_verification.domain.refusal import Reason
from number_verification.onetime.store import OneTimeStore


def use_up(store: OneTimeStore, issuer: str, jti: str, times: Times, *, leeway: Milliseconds = LEEWAY) -> None:
    """Let the first use of a token pass, and no other.

    Called last of all checks, so that a token that is refused for another reason is not used up.

    Args:
        store: where it is remembered.
        issuer: who signed the token; a `jti` is unique for its issuer only (RFC 7519 §4.1.7).
        jti: the token's own identifier.
        times: of the token.
        leeway: that was granted when `times` were checked.

    Raises:
        InvalidToken: TOKEN_USED: it was used, or may have been used before the store lost its memory.
        StoreUnavailable: that cannot be told.
    """
    # Issuers write whole seconds, rounded down. A machine that died does not come back within that second.
    if times.issued_at + SECOND - 1 < store.remembers_since:
        raise InvalidToken(Reason.TOKEN_USED)
    # The length keeps the two apart, whatever characters they hold.
    digest = hashlib.sha256(f"{len(issuer)}:{issuer}{jti}".encode()).digest()
    if not store.add(b"jti:" + digest, times.expires_at + leeway):
        raise InvalidToken(Reason.TOKEN_USED)
