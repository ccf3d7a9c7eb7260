"""Access tokens of issuers that the operator trusts: JSON Web Tokens in the profile of RFC 9068."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from number_verification.authorization import jose, replay
from number_verification.authorization.claims import Times, check_audience, check_times, date, text, texts
from number_verification.authorization.jose import InvalidToken
from number_verification.authorization.scopes import purpose_of
from number_verification.domain.clock import Milliseconds
from number_verification.domain.grant import AccessGrant, AuthenticationMethod
from number_verification.domain.phone_number import is_phone_number
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.onetime.store import OneTimeStore

_TYPES = frozenset({"at+jwt"})
"""RFC 9068 §2.1: what keeps an ID token, or any other JWT of the same issuer, from passing as an access token."""


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """One issuer that is trusted.

    Raises:
        ValueError: a part is empty, or an algorithm is not one of `jose.ALGORITHMS`.
    """

    issuer: str
    """Its `iss`, compared by exact match (RFC 9068 §4)."""
    audience: str
    """What its tokens for us name in `aud`."""
    algorithms: frozenset[str]
    keys: jose.KeySource = field(repr=False)

    def __post_init__(self) -> None:
        if not self.issuer or not self.audience:
            raise ValueError("an external issuer needs an issuer and an audience")
        if not self.algorithms or not self.algorithms <= jose.ALGORITHMS:
            raise ValueError(f"algorithms of an external issuer must be among {', '.join(sorted(jose.ALGORITHMS))}")


def redeem(token: str, issuers: Mapping[str, ExternalIssuer], store: OneTimeStore, now: Milliseconds) -> AccessGrant:
    """The grant that a token stands for. The token is used up.

    Args:
        token: as it was presented.
        issuers: those trusted, by their `issuer`.
        store: where tokens are used up.
        now: when it was presented.

    Raises:
        Refusal: UNAUTHENTICATED for a token that is not good; UNAVAILABLE where the issuer's keys cannot be had.
        StoreUnavailable: the token cannot be used up.
    """
    try:
        issuer = issuers.get(text(jose.unverified_claims(token), "iss"))
        if issuer is None:
            raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_ISSUER)
        _, claims = jose.verify(token, issuer.keys, algorithms=issuer.algorithms, types=_TYPES)
        check_audience(claims, frozenset({issuer.audience}))
        times = check_times(claims, now)
        grant = _grant(claims, times)
        replay.use_up(store, issuer.issuer, text(claims, "jti"), times)
    except InvalidToken as refused:
        raise Refusal(Kind.UNAUTHENTICATED, refused.reason) from None
    except jose.KeysUnavailable as unavailable:
        raise Refusal(Kind.UNAVAILABLE, Reason.ISSUER_UNREACHABLE, retry_after=unavailable.retry_after) from None
    return grant


def _grant(claims: Mapping[str, Any], times: Times) -> AccessGrant:
    text(claims, "sub")
    method = _method(texts(claims, "amr"))
    phone_number = text(claims, "phone_number") if "phone_number" in claims else ""
    if phone_number and not is_phone_number(phone_number):
        raise InvalidToken(Reason.TOKEN_CLAIMS)
    if not phone_number and method is not AuthenticationMethod.OTHER:
        # An issuer that authenticated the device but does not say which number it has vouches for nothing.
        raise InvalidToken(Reason.TOKEN_CLAIMS)
    scopes = _scopes(claims)
    authenticated_at = date(claims, "auth_time")
    return AccessGrant(
        client_id=text(claims, "client_id"),
        scopes=scopes,
        purpose=purpose_of(scopes),
        method=method,
        authenticated_at=times.issued_at if authenticated_at is None else authenticated_at,
        issued_at=times.issued_at,
        expires_at=times.expires_at,
        phone_number=phone_number,
    )


def _method(methods: list[str]) -> AuthenticationMethod:
    for method in (AuthenticationMethod.NETWORK, AuthenticationMethod.SIM):
        if method.value in methods:
            return method
    return AuthenticationMethod.OTHER


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise InvalidToken(Reason.TOKEN_CLAIMS)
    return frozenset(scope.split(" ")) - {""}
