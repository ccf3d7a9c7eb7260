"""The authorization endpoint: the device itself calls it, and its connection says who it is.

OpenID Connect Core §3.1.2 with the CAMARA Security and Interoperability Profile: no user interaction ever.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from number_verification.authorization import code as codes
from number_verification.authorization import note as notes
from number_verification.authorization.oauth import (
    NO_STORE,
    OAuthError,
    invalid_request,
    is_printable,
    query_parameters,
)
from number_verification.authorization.scopes import OPENID, purpose_of, requested_scopes
from number_verification.domain.application import Application, Applications, Flow
from number_verification.domain.approval import Approvals
from number_verification.domain.clock import Clock
from number_verification.domain.grant import AuthenticationMethod, SessionAnchor
from number_verification.domain.location import LocatedDevice
from number_verification.domain.refusal import Reason
from number_verification.onetime.store import OneTimeStore
from number_verification.rest.http import HttpRequest, HttpResponse

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
"""BASE64URL of a SHA-256 (RFC 7636 §4.2)."""

MAX_STATE, MAX_NONCE = 2048, 512


@dataclass(frozen=True, slots=True)
class AuthorizationEndpoint:
    """`/oauth2/authorize`.

    Args:
        issuer: our issuer identifier.
        applications: who may ask.
        locate: the device that a request came from, or why none may be named.
        approvals: whether its subscriber agrees.
        one_time: keeps the codes.
    """

    issuer: str
    applications: Applications
    locate: Callable[[HttpRequest], LocatedDevice | Reason]
    approvals: Approvals
    one_time: OneTimeStore
    clock: Clock

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with a redirect that carries a code or an error.

        Raises:
            OAuthError: the client or its redirect URI is not known, so there is nowhere to redirect to.
        """
        parameters = query_parameters(request)
        application = self.applications.find(parameters.get("client_id", ""))
        redirect_uri = parameters.get("redirect_uri", "")
        if application is None or redirect_uri not in application.redirect_uris:
            # RFC 6749 §4.1.2.1: never redirect to what was not registered.
            raise OAuthError(
                "invalid_request", "client_id or redirect_uri is not registered", Reason.APPLICATION_UNKNOWN
            )
        state = parameters.get("state", "")

        def told(error: OAuthError) -> HttpResponse:
            answer = {"error": error.error, "error_description": error.description}
            return redirection(redirect_uri, answer, state, self.issuer)

        note = notes.current()
        note.application, note.redirect = application, told
        try:
            code = self._code(request, parameters, application, redirect_uri)
        except OAuthError as error:
            error.redirect = told(error)
            raise
        return redirection(redirect_uri, {"code": code}, state, self.issuer)

    def _code(
        self, request: HttpRequest, parameters: Mapping[str, str], application: Application, redirect_uri: str
    ) -> str:
        _check_supported(parameters)
        _check_standing(application)
        scopes = requested_scopes(parameters.get("scope", ""), application)
        note = notes.current()
        note.purpose = purpose_of(scopes)
        if "claims" in parameters and OPENID not in scopes:
            raise invalid_request("claims need the scope openid")
        challenge = parameters.get("code_challenge", "")
        if parameters.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(challenge):
            raise invalid_request("PKCE with code_challenge_method=S256 is needed")
        device = self.locate(request)
        if isinstance(device, Reason):
            # One text for every reason: a stranger must not learn who a user's operator is (design D6).
            raise OAuthError("access_denied", "the device was not authenticated by the mobile network", device)
        note.method, note.phone_number = AuthenticationMethod.NETWORK, device.session.subscriber.phone_number
        now = self.clock()
        objection = self.approvals.objection(device.session.subscriber, application, note.purpose, scopes, now)
        if objection is not None:
            raise OAuthError("consent_required", "the user has not agreed to this", objection)
        session = device.session.sessions[0]
        anchor = SessionAnchor(session.key, session.began, device.session.subscriber, device.address)
        authorization = codes.Authorization(
            application.client_id, redirect_uri, scopes, challenge, parameters.get("nonce", ""), now, anchor
        )
        return codes.issue(authorization, self.one_time, now)


def _check_supported(parameters: Mapping[str, str]) -> None:
    if "request" in parameters:
        raise OAuthError("request_not_supported", "request objects are not supported", Reason.INPUT_MALFORMED)
    if "request_uri" in parameters:
        raise OAuthError("request_uri_not_supported", "request_uri is not supported", Reason.INPUT_MALFORMED)
    if parameters.get("response_type") != "code":
        known = "response_type" in parameters
        error = "unsupported_response_type" if known else "invalid_request"
        raise OAuthError(error, "response_type must be code", Reason.INPUT_MALFORMED)
    if parameters.get("response_mode", "query") != "query":
        raise invalid_request("response_mode must be query")
    if parameters.get("prompt", "none") != "none":
        raise OAuthError("interaction_required", "there is never any user interaction", Reason.INPUT_MALFORMED)
    if not is_printable(parameters.get("state", ""), MAX_STATE):
        raise invalid_request("state has characters that are not allowed, or is too long")
    if not is_printable(parameters.get("nonce", ""), MAX_NONCE):
        raise invalid_request("nonce has characters that are not allowed, or is too long")


def _check_standing(application: Application) -> None:
    if application.objection is not None:
        raise OAuthError("unauthorized_client", "the application may not be served now", application.objection)
    if Flow.AUTHORIZATION_CODE not in application.flows:
        raise OAuthError("unauthorized_client", "this flow is not agreed", Reason.FLOW_NOT_ALLOWED)
    if application.requires_signed_request:
        # One that came with the request was refused as not supported already.
        raise OAuthError("invalid_request", "a signed request object is needed", Reason.SIGNED_REQUEST_MISSING)


def redirection(redirect_uri: str, answer: Mapping[str, str], state: str, issuer: str) -> HttpResponse:
    """A redirect back to the application, with `state` and `iss` (RFC 9207)."""
    parameters = {**answer, **({"state": state} if state else {}), "iss": issuer}
    separator = "&" if "?" in redirect_uri else "?"
    location = f"{redirect_uri}{separator}{urlencode(parameters)}"
    return HttpResponse(302, [("Location", location), ("Referrer-Policy", "no-referrer"), *NO_STORE], b"")
