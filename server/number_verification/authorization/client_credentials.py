"""Tokens by which principals call the internal services: the client-credentials grant (RFC 6749 §4.4).

They are JWTs of our own (RFC 9068) and prove who calls, nothing more: no scope, nothing about a device, nothing
personal. That is why one may be used again within its life, where a token of Number Verification may not (design D3):
at every call the principal is looked up anew, and its roles and whether it may call at all are those of that instant.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from number_verification.authorization import jose
from number_verification.authorization.claims import MAX_LIFETIME, check_audience, check_times, text
from number_verification.authorization.jose import InvalidToken
from number_verification.authorization.oauth import NO_STORE, OAuthError, json_response
from number_verification.authorization.signing_keys import SigningKeys
from number_verification.domain.clock import SECOND, Clock, Milliseconds
from number_verification.domain.onboarding.principal import PrincipalClient
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.rest.http import HttpResponse

_TYPE = "at+jwt"
_ALGORITHMS = frozenset({"ES256"})


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """Issues these tokens, and tells whose one is.

    Args:
        issuer: our `iss`.
        keys: what they are signed with.
        lifetime: at most 300 s.
    """

    issuer: str
    keys: SigningKeys
    clock: Clock
    lifetime: Milliseconds = MAX_LIFETIME

    @property
    def audience(self) -> str:
        """The internal services: what no token for the API names, nor any assertion."""
        return f"{self.issuer}/internal"

    def issue(self, parameters: Mapping[str, str], client: PrincipalClient) -> HttpResponse:
        """Answer a token request of an authenticated principal.

        Raises:
            OAuthError: a scope was asked for.
        """
        if "scope" in parameters:
            raise OAuthError("invalid_scope", "there are no scopes for this grant", Reason.SCOPE_MISSING)
        issued_at = self.clock() // SECOND
        claims = {
            "iss": self.issuer,
            "sub": client.client_id,
            "aud": self.audience,
            "client_id": client.client_id,
            "iat": issued_at,
            "exp": issued_at + self.lifetime // SECOND,
            "jti": secrets.token_urlsafe(16),
        }
        answer = {
            "access_token": self.keys.sign(claims, typ=_TYPE),
            "token_type": "Bearer",
            "expires_in": self.lifetime // SECOND,
        }
        return json_response(answer, headers=NO_STORE)

    def identify(self, token: str) -> str:
        """The client id of the principal that a token was issued to.

        Raises:
            Refusal: UNAUTHENTICATED: it is not one of these tokens, or not good any more.
        """
        try:
            _, claims = jose.verify(token, self.keys, algorithms=_ALGORITHMS, types=frozenset({_TYPE}))
            _check_issuer(claims, self.issuer)
            check_audience(claims, frozenset({self.audience}))
            # Our own clock wrote the times, or one that is kept together with it.
            check_times(claims, self.clock())
            return text(claims, "client_id")
        except InvalidToken as refused:
            raise Refusal(Kind.UNAUTHENTICATED, refused.reason) from None


def _check_issuer(claims: Mapping[str, Any], issuer: str) -> None:
    if text(claims, "iss") != issuer:
        raise InvalidToken(Reason.TOKEN_ISSUER)
