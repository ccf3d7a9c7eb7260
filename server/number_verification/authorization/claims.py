"""What a token's claims must be (RFC 7519 §4.1). Every check is explicit, and no claim has a default."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from number_verification.authorization.jose import InvalidToken
from number_verification.domain.clock import SECOND, Milliseconds
from number_verification.domain.refusal import Reason

MAX_LIFETIME: Milliseconds = 300 * SECOND
"""How long a token may live (CAMARA Security and Interoperability Profile)."""
LEEWAY: Milliseconds = 5 * SECOND
"""How far the clocks of two parties may be apart."""
_LAST_DATE = 253_402_300_799
"""The end of the year 9999, in seconds since the epoch."""


class Times(NamedTuple):
    """When a token was issued and until when it is good, both within the limits of `check_times`."""

    issued_at: Milliseconds
    expires_at: Milliseconds


def text(claims: Mapping[str, Any], name: str) -> str:
    """A claim that must be a string and not empty.

    Raises:
        InvalidToken: TOKEN_CLAIMS.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidToken(Reason.TOKEN_CLAIMS)
    return value


def texts(claims: Mapping[str, Any], name: str) -> list[str]:
    """A claim that must be an array of strings; empty where it is absent.

    Raises:
        InvalidToken: TOKEN_CLAIMS.
    """
    values = claims.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidToken(Reason.TOKEN_CLAIMS)
    return values


def date(claims: Mapping[str, Any], name: str) -> Milliseconds | None:
    """A claim that must be a NumericDate (RFC 7519 §2), between 1970 and 9999; None where it is absent.

    Raises:
        InvalidToken: TOKEN_CLAIMS.
    """
    if name not in claims:
        return None
    value = claims[name]
    # A bool is an int to Python, and comparing with NaN is always false.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_DATE:
        raise InvalidToken(Reason.TOKEN_CLAIMS)
    return value * SECOND if isinstance(value, int) else math.floor(value * SECOND)


def check_times(
    claims: Mapping[str, Any],
    now: Milliseconds,
    *,
    max_lifetime: Milliseconds = MAX_LIFETIME,
    leeway: Milliseconds = LEEWAY,
) -> Times:
    """Check `iat` and `exp`, both mandatory, and `nbf` (RFC 7519 §4.1.4 to §4.1.6).

    Args:
        claims: of a token.
        now: when it was received.
        max_lifetime: how far `exp` may lie after `iat`.
        leeway: how far the issuer's clock may be from ours, before or behind.

    Raises:
        InvalidToken: TOKEN_CLAIMS where one is missing, malformed or too far from the other; TOKEN_EXPIRED;
            TOKEN_NOT_YET_VALID.
    """
    issued_at, expires_at, not_before = date(claims, "iat"), date(claims, "exp"), date(claims, "nbf")
    if issued_at is None or expires_at is None or not 0 < expires_at - issued_at <= max_lifetime:
        raise InvalidToken(Reason.TOKEN_CLAIMS)
    if now >= expires_at + leeway:
        raise InvalidToken(Reason.TOKEN_EXPIRED)
    if max(issued_at, not_before or 0) > now + leeway:
        raise InvalidToken(Reason.TOKEN_NOT_YET_VALID)
    return Times(issued_at, expires_at)


def check_audience(claims: Mapping[str, Any], accepted: frozenset[str]) -> None:
    """Check that `aud`, a string or an array of strings (RFC 7519 §4.1.3), holds one of those accepted.

    Raises:
        InvalidToken: TOKEN_CLAIMS where it is missing or malformed; TOKEN_AUDIENCE where it holds none.
    """
    audience = claims.get("aud")
    values = [audience] if isinstance(audience, str) else texts(claims, "aud")
    if not values:
        raise InvalidToken(Reason.TOKEN_CLAIMS)
    if accepted.isdisjoint(values):
        raise InvalidToken(Reason.TOKEN_AUDIENCE)
