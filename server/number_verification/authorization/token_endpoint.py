"""The token endpoint: a code, and proof of who the client is, for an access token (RFC 6749 §4.1.3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from number_verification.authorization import code as codes
from number_verification.authorization import note as notes
from number_verification.authorization import reference_tokens
from number_verification.authorization.client_assertion import ClientAuthenticationFailed, verify_client_assertion
from number_verification.authorization.id_token import IdTokens
from number_verification.authorization.oauth import (
    NO_STORE,
    OAuthError,
    form_parameters,
    invalid_request,
    json_response,
)
from number_verification.authorization.scopes import OPENID, purpose_of
from number_verification.domain.application import Application, Applications
from number_verification.domain.clock import SECOND, Clock, Milliseconds
from number_verification.domain.grant import AccessGrant, AuthenticationMethod, SessionAnchor
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Subscriber
from number_verification.onetime.store import OneTimeStore
from number_verification.rest.http import HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """`/oauth2/token`.

    Args:
        audiences: what a client assertion may name as its audience: the endpoint's address and the issuer.
        subscriber_at: who stands behind the session that a code is bound to, or why nobody does any more.
        lifetime: of access tokens, at most 300 s (CAMARA Number Verification PR 226).
    """

    audiences: frozenset[str]
    applications: Applications
    one_time: OneTimeStore
    id_tokens: IdTokens
    subscriber_at: Callable[[SessionAnchor], Subscriber | Reason]
    lifetime: Milliseconds
    clock: Clock

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with an access token.

        Raises:
            OAuthError: no token for this request.
        """
        parameters = form_parameters(request)
        application = self._authenticated(request, parameters)
        notes.current().application = application
        if parameters.get("grant_type") != "authorization_code":
            error = "unsupported_grant_type" if "grant_type" in parameters else "invalid_request"
            raise OAuthError(error, "grant_type must be authorization_code", Reason.INPUT_MALFORMED)
        return self._exchange(parameters, application)

    def _authenticated(self, request: HttpRequest, parameters: Mapping[str, str]) -> Application:
        if request.header("AUTHORIZATION") is not None:
            raise OAuthError(
                "invalid_client",
                "private_key_jwt is the only method",
                Reason.CALLER_UNKNOWN,
                status=401,
                challenge='Basic realm="token"',
            )
        try:
            return verify_client_assertion(
                parameters.get("client_assertion", ""),
                parameters.get("client_assertion_type", ""),
                parameters.get("client_id"),
                self.applications,
                self.audiences,
                self.one_time,
                self.clock(),
            )
        except ClientAuthenticationFailed as failure:
            if failure.reason is Reason.APPLICATION_SUSPENDED:
                raise OAuthError("unauthorized_client", failure.description, failure.reason) from None
            raise OAuthError("invalid_client", failure.description, failure.reason, status=401) from None

    def _exchange(self, parameters: Mapping[str, str], application: Application) -> HttpResponse:
        code = parameters.get("code")
        if code is None:
            raise invalid_request("code is needed")
        authorization = codes.take(code, self.one_time)
        now = self.clock()
        expires_at = now + self.lifetime
        if authorization is None:
            token_key = codes.token_to_revoke(code, self.one_time, expires_at)
            if token_key is not None:
                reference_tokens.revoke(token_key, self.one_time)
            raise _invalid_grant(Reason.TOKEN_USED if token_key else Reason.TOKEN_UNKNOWN)
        if authorization.client_id != application.client_id:
            raise _invalid_grant(Reason.CALLER_UNKNOWN)
        note = notes.current()
        note.purpose, note.method = purpose_of(authorization.scopes), AuthenticationMethod.NETWORK
        note.phone_number = authorization.anchor.subscriber.phone_number
        if authorization.redirect_uri != parameters.get("redirect_uri"):
            raise _invalid_grant(Reason.INPUT_MALFORMED)
        if not codes.proves_possession(authorization, parameters.get("code_verifier", "")):
            raise _invalid_grant(Reason.TOKEN_SIGNATURE)
        subscriber = self.subscriber_at(authorization.anchor)
        if isinstance(subscriber, Reason):
            raise _invalid_grant(subscriber)
        grant = AccessGrant(
            client_id=application.client_id,
            scopes=authorization.scopes,
            purpose=purpose_of(authorization.scopes),
            method=AuthenticationMethod.NETWORK,
            authenticated_at=authorization.authenticated_at,
            issued_at=now,
            expires_at=expires_at,
            anchor=authorization.anchor,
            application=application.name,
            customer=application.customer,
            channel_partner=application.channel_partner,
        )
        token = reference_tokens.issue(grant, self.one_time)
        if not codes.token_given(code, reference_tokens.key_of(token), self.one_time, expires_at):
            reference_tokens.revoke(reference_tokens.key_of(token), self.one_time)
            raise _invalid_grant(Reason.TOKEN_USED)
        answer: dict[str, object] = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": self.lifetime // SECOND,
            "scope": " ".join(sorted(authorization.scopes)),
        }
        if OPENID in authorization.scopes:
            answer["id_token"] = self.id_tokens.issue(grant, token, authorization.nonce)
        return json_response(answer, headers=NO_STORE)


def _invalid_grant(reason: Reason) -> OAuthError:
    return OAuthError("invalid_grant", "the code is not good, or is not yours, or was used", reason)
