"""Client authentication by `private_key_jwt` (RFC 7523 §3, OpenID Connect Core §9, CAMARA security profile)."""

import threading

from number_verification.authorization import jose, replay
from number_verification.authorization.claims import check_audience, check_times, text
from number_verification.authorization.jose import InvalidToken, VerificationKey
from number_verification.authorization.jwks import StaticKeySet
from number_verification.domain.application import Application, Applications
from number_verification.domain.clock import Milliseconds
from number_verification.domain.refusal import Reason
from number_verification.onetime.store import OneTimeStore

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = frozenset({"ES256", "RS256", "PS256"})
_TYPES = frozenset({"", "jwt", "client-authentication+jwt"})
"""A request object (RFC 9101), which the client signs with the same keys, does not pass as an assertion."""

_FAILED = "the client could not be authenticated"
_DESCRIPTIONS = {
    Reason.TOKEN_MALFORMED: "the client assertion is not a signed JWT that can be read",
    Reason.TOKEN_AUDIENCE: "aud of the client assertion names neither the issuer nor the token endpoint",
    Reason.TOKEN_EXPIRED: "the client assertion has expired",
    Reason.TOKEN_NOT_YET_VALID: "the client assertion is not valid yet",
    Reason.TOKEN_USED: "the client assertion was used before",
    Reason.TOKEN_CLAIMS: (
        "the client assertion must hold iss and sub (both the client id), aud, iat, exp (at most 300 s later) and jti"
    ),
    Reason.APPLICATION_SUSPENDED: "the client is suspended",
}


class ClientAuthenticationFailed(Exception):
    """Who the client is could not be shown.

    Args:
        reason: why, for the operator.
        description: what the client may be told (`error_description`).
    """

    def __init__(self, reason: Reason, description: str) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.description = description


class _KeyCache:
    """The imported keys of applications: importing a key takes about as long as checking a signature with it.

    Args:
        limit: the greatest number of applications; the one that was added first goes first.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: dict[str, tuple[object, StaticKeySet]] = {}
        self._guard = threading.Lock()

    def of(self, application: Application) -> StaticKeySet:
        """The application's keys as they are now."""
        entry = self._entries.get(application.client_id)
        if entry is not None and entry[0] == application.jwks:
            return entry[1]
        keys = StaticKeySet(application.jwks)
        with self._guard:
            if len(self._entries) >= self._limit and application.client_id not in self._entries:
                del self._entries[next(iter(self._entries))]
            self._entries[application.client_id] = application.jwks, keys
        return keys


_keys = _KeyCache(4096)


class _OrDecoy:
    """The keys of a client, and a decoy where it has none that fits: that takes as long, and fails as well.

    Otherwise the time that a refusal takes would tell which clients there are (design D6).
    """

    def __init__(self, keys: StaticKeySet | None) -> None:
        self._keys = keys

    def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        key = self._keys.find(kid, algorithm) if self._keys else None
        return key or jose.decoy_key(algorithm)


def verify_client_assertion(
    assertion: str,
    assertion_type: str,
    client_id_param: str | None,
    applications: Applications,
    audiences: frozenset[str],
    one_time: OneTimeStore,
    now: Milliseconds,
) -> Application:
    """The application that signed a client assertion. The assertion is used up.

    Args:
        assertion: `client_assertion`.
        assertion_type: `client_assertion_type`.
        client_id_param: `client_id`, if it was sent; it must agree (RFC 7521 §4.2).
        applications: where the client is looked up.
        audiences: what `aud` may name.
        one_time: where assertions are used up.
        now: when the assertion was received.

    Raises:
        ClientAuthenticationFailed: it is not good. That a client is not known looks to the caller like a signature that
            is not good; that it is suspended is only said to whoever has its key.
        StoreUnavailable: the assertion cannot be used up.
    """
    if assertion_type != ASSERTION_TYPE:
        raise ClientAuthenticationFailed(Reason.INPUT_MALFORMED, f"client_assertion_type must be {ASSERTION_TYPE}")
    try:
        return _verified(assertion, client_id_param, applications, audiences, one_time, now)
    except InvalidToken as refused:
        raise ClientAuthenticationFailed(refused.reason, _DESCRIPTIONS.get(refused.reason, _FAILED)) from None


def _verified(
    assertion: str,
    client_id_param: str | None,
    applications: Applications,
    audiences: frozenset[str],
    one_time: OneTimeStore,
    now: Milliseconds,
) -> Application:
    client_id = text(jose.unverified_claims(assertion), "sub")
    application = applications.find(client_id)
    keys = _OrDecoy(_keys.of(application) if application else None)
    try:
        _, claims = jose.verify(assertion, keys, algorithms=ALGORITHMS, types=_TYPES)
    except InvalidToken as refused:
        if application is None and refused.reason is Reason.TOKEN_SIGNATURE:
            raise InvalidToken(Reason.APPLICATION_UNKNOWN) from None
        raise
    if application is None:
        raise InvalidToken(Reason.APPLICATION_UNKNOWN)
    if text(claims, "iss") != client_id or client_id_param not in (None, client_id):
        raise InvalidToken(Reason.TOKEN_CLAIMS)
    check_audience(claims, audiences)
    times = check_times(claims, now)
    replay.use_up(one_time, client_id, text(claims, "jti"), times)
    if application.objection is not None:
        raise InvalidToken(application.objection)
    return application
