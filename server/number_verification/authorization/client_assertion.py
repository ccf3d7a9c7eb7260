"""Client authentication by `private_key_jwt` (RFC 7523 §3, OpenID Connect Core §9, CAMARA security profile)."""

from collections.abc import Callable

from number_verification.authorization import jose, replay
from number_verification.authorization.claims import check_audience, check_times, text
from number_verification.authorization.client_keys import Client, ClientKeys
from number_verification.authorization.jose import InvalidToken, KeySource, VerificationKey
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


class ClientNotServed(Exception):
    """The client is who it says, but may not be served now.

    Args:
        client: who.
        reason: why, for the operator.
    """

    def __init__(self, client: Client, reason: Reason) -> None:
        super().__init__(reason.value)
        self.client = client
        self.reason = reason


class _OrDecoy:
    """The keys of a client, and a decoy where it has none that fits: that takes as long, and fails as well.

    Otherwise the time that a refusal takes would tell which clients there are (design D6). Fetching the keys that a
    client publishes takes longer than that, and that they cannot be had is said: it happens seldom, and whoever is
    to be told to try again must be told so.
    """

    def __init__(self, keys: KeySource | None) -> None:
        self._keys = keys

    def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        key = self._keys.find(kid, algorithm) if self._keys else None
        return key or jose.decoy_key(algorithm)


def verify_client_assertion(
    assertion: str,
    assertion_type: str,
    client_id_param: str | None,
    find: Callable[[str], Client | None],
    keys: ClientKeys,
    audiences: frozenset[str],
    one_time: OneTimeStore,
    now: Milliseconds,
) -> Client:
    """The client that signed a client assertion. The assertion is used up.

    Args:
        assertion: `client_assertion`.
        assertion_type: `client_assertion_type`.
        client_id_param: `client_id`, if it was sent; it must agree (RFC 7521 §4.2).
        find: how the client is looked up by its client id.
        keys: where its keys are found.
        audiences: what `aud` may name.
        one_time: where assertions are used up.
        now: when the assertion was received.

    Raises:
        ClientAuthenticationFailed: it is not good. That a client is not known looks to the caller like a signature that
            is not good.
        ClientNotServed: it is good, but the client may not be served; only told to whoever has its key.
        KeysUnavailable: the client publishes its keys, and they cannot be had.
        StoreUnavailable: the assertion cannot be used up.
    """
    if assertion_type != ASSERTION_TYPE:
        raise ClientAuthenticationFailed(Reason.INPUT_MALFORMED, f"client_assertion_type must be {ASSERTION_TYPE}")
    try:
        client = _verified(assertion, client_id_param, find, keys, audiences, one_time, now)
    except InvalidToken as refused:
        raise ClientAuthenticationFailed(refused.reason, _DESCRIPTIONS.get(refused.reason, _FAILED)) from None
    if client.objection is not None:
        raise ClientNotServed(client, client.objection)
    return client


def _verified(
    assertion: str,
    client_id_param: str | None,
    find: Callable[[str], Client | None],
    keys: ClientKeys,
    audiences: frozenset[str],
    one_time: OneTimeStore,
    now: Milliseconds,
) -> Client:
    client_id = text(jose.unverified_claims(assertion), "sub")
    client = find(client_id)
    try:
        _, claims = jose.verify(
            assertion, _OrDecoy(keys.of(client) if client else None), algorithms=ALGORITHMS, types=_TYPES
        )
    except InvalidToken as refused:
        if client is None and refused.reason is Reason.TOKEN_SIGNATURE:
            raise InvalidToken(Reason.APPLICATION_UNKNOWN) from None
        raise
    if client is None:
        raise InvalidToken(Reason.APPLICATION_UNKNOWN)
    if text(claims, "iss") != client_id or client_id_param not in (None, client_id):
        raise InvalidToken(Reason.TOKEN_CLAIMS)
    check_audience(claims, audiences)
    times = check_times(claims, now)
    replay.use_up(one_time, client_id, text(claims, "jti"), times)
    return client
