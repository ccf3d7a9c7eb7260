"""A code for an access token (RFC 6749 §4.1.3): one token, for what the code was given for, if it still stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from number_verification.authorization import code as codes
from number_verification.authorization import note as notes
from number_verification.authorization import reference_tokens
from number_verification.authorization.code import Authorization
from number_verification.authorization.id_token import IdTokens
from number_verification.authorization.oauth import NO_STORE, OAuthError, json_response
from number_verification.authorization.scopes import OPENID, objection_to, purpose_of
from number_verification.domain.application import Application
from number_verification.domain.approval import Approvals
from number_verification.domain.clock import SECOND, Clock, Milliseconds
from number_verification.domain.grant import AccessGrant, AuthenticationMethod, SessionAnchor
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Subscriber
from number_verification.onetime.store import OneTimeStore
from number_verification.rest.http import HttpResponse


@dataclass(frozen=True, slots=True)
class CodeExchange:
    """Gives access tokens for codes.

    Args:
        subscriber_at: who stands behind the session that a code is bound to, or why nobody does any more.
        approvals: whether the subscriber still agrees.
        lifetime: of access tokens, at most 300 s (CAMARA Number Verification PR 226).
    """

    one_time: OneTimeStore
    id_tokens: IdTokens
    subscriber_at: Callable[[SessionAnchor], Subscriber | Reason]
    approvals: Approvals
    lifetime: Milliseconds
    clock: Clock

    def __call__(self, code: str, parameters: Mapping[str, str], application: Application) -> HttpResponse:
        """Answer a token request of an authenticated application. The code is used up.

        Raises:
            OAuthError: `invalid_grant`: no token for this code.
        """
        authorization = codes.take(code, self.one_time)
        now = self.clock()
        expires_at = now + self.lifetime
        if authorization is None:
            token_key = codes.token_to_revoke(code, self.one_time, expires_at)
            if token_key is not None:
                reference_tokens.revoke(token_key, self.one_time)
            raise _invalid_grant(Reason.TOKEN_USED if token_key else Reason.TOKEN_UNKNOWN)
        objection = self._objection(authorization, parameters, application, now)
        if objection is not None:
            raise _invalid_grant(objection)
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

    def _objection(
        self,
        authorization: Authorization,
        parameters: Mapping[str, str],
        application: Application,
        now: Milliseconds,
    ) -> Reason | None:
        if authorization.client_id != application.client_id:
            return Reason.CALLER_UNKNOWN
        note = notes.current()
        note.purpose, note.method = purpose_of(authorization.scopes), AuthenticationMethod.NETWORK
        note.phone_number = authorization.anchor.subscriber.phone_number
        if authorization.redirect_uri != parameters.get("redirect_uri"):
            return Reason.INPUT_MALFORMED
        if not codes.proves_possession(authorization, parameters.get("code_verifier", "")):
            return Reason.TOKEN_SIGNATURE
        # The plan may have been changed since the device authorized.
        beyond = objection_to(authorization.scopes, application)
        if beyond is not None:
            return beyond
        subscriber = self.subscriber_at(authorization.anchor)
        if isinstance(subscriber, Reason):
            return subscriber
        return self.approvals.objection(subscriber, application, note.purpose, authorization.scopes, now)


def _invalid_grant(reason: Reason) -> OAuthError:
    return OAuthError("invalid_grant", "the code is not good, or is not yours, or was used", reason)
