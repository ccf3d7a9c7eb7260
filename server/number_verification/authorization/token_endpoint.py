"""The token endpoint: who the client is, whether it may have a token now, and which grant it asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from number_verification import log
from number_verification.authorization import note as notes
from number_verification.authorization.client_assertion import (
    ClientAuthenticationFailed,
    ClientNotServed,
    verify_client_assertion,
)
from number_verification.authorization.client_credentials import ClientCredentials
from number_verification.authorization.client_keys import Client, ClientKeys
from number_verification.authorization.code_exchange import CodeExchange
from number_verification.authorization.jose import KeysUnavailable
from number_verification.authorization.oauth import OAuthError, form_parameters, invalid_request, too_many_requests
from number_verification.domain.allowance import Shortage
from number_verification.domain.application import NO_LIMITS, Application, Flow
from number_verification.domain.clock import Clock, Milliseconds
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.onboarding.principal import PrincipalClient
from number_verification.domain.refusal import Reason
from number_verification.onetime.store import OneTimeStore
from number_verification.registry.store import Allowances
from number_verification.rest.http import HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """`/oauth2/token`.

    Args:
        audiences: what a client assertion may name as its audience: the endpoint's address and the issuer.
        find: the application or the principal with a client id.
        keys: with which they sign their assertions.
        allowances: counts the tokens of applications whose plan has limits.
        exchange: a code for a token, for applications.
        client_credentials: tokens for principals.
    """

    audiences: frozenset[str]
    find: Callable[[str], Client | None]
    keys: ClientKeys
    one_time: OneTimeStore
    allowances: Allowances
    exchange: CodeExchange
    client_credentials: ClientCredentials
    clock: Clock

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with an access token.

        Raises:
            OAuthError: no token for this request.
        """
        parameters = form_parameters(request)
        client = self._authenticated(request, parameters)
        _note(client)
        match parameters.get("grant_type"):
            case "authorization_code" if isinstance(client, Application):
                return self._exchange(request, parameters, client)
            case "client_credentials" if isinstance(client, PrincipalClient):
                return self.client_credentials.issue(parameters, client)
            case "authorization_code" | "client_credentials":
                raise OAuthError("unauthorized_client", "this grant is not for this client", Reason.FLOW_NOT_ALLOWED)
            case None:
                raise invalid_request("grant_type is needed")
            case _:
                raise OAuthError(
                    "unsupported_grant_type",
                    "grant_type must be authorization_code or client_credentials",
                    Reason.INPUT_MALFORMED,
                )

    def _authenticated(self, request: HttpRequest, parameters: Mapping[str, str]) -> Client:
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
                self.find,
                self.keys,
                self.audiences,
                self.one_time,
                self.clock(),
            )
        except ClientNotServed as refused:
            _note(refused.client)
            raise OAuthError("unauthorized_client", "the client may not be served now", refused.reason) from None
        except ClientAuthenticationFailed as failure:
            raise OAuthError("invalid_client", failure.description, failure.reason, status=401) from None
        except KeysUnavailable as unavailable:
            raise OAuthError(
                "temporarily_unavailable",
                "the keys at the client's jwks_uri cannot be had",
                Reason.ISSUER_UNREACHABLE,
                status=503,
                retry_after=unavailable.retry_after,
            ) from None

    def _exchange(self, request: HttpRequest, parameters: Mapping[str, str], application: Application) -> HttpResponse:
        if Flow.AUTHORIZATION_CODE not in application.flows:
            raise OAuthError("unauthorized_client", "this flow is not agreed", Reason.FLOW_NOT_ALLOWED)
        if application.requires_dpop:
            # Proofs are not read yet. A token without one must not be had by whoever demands that there is one.
            missing = request.header("DPOP") is None
            description = "a DPoP proof is needed" if missing else "DPoP proofs are not supported"
            raise OAuthError("invalid_dpop_proof", description, Reason.DPOP_MISSING)
        code = parameters.get("code")
        if code is None:
            raise invalid_request("code is needed")
        if application.limits == NO_LIMITS:
            return self.exchange(code, parameters, application)
        return self._within_allowance(application, lambda: self.exchange(code, parameters, application))

    def _within_allowance(self, application: Application, issue: Callable[[], HttpResponse]) -> HttpResponse:
        """Issue a token, and count it: before the code is taken, so that a client that must wait can use it later."""
        now = self.clock()
        shortage = self.allowances.spend(application.client_id, application.limits, now)
        if shortage is not None:
            raise _short(shortage)
        try:
            answer = issue()
        except BaseException:
            self._refund(application, now)
            raise
        notes.current().withheld = lambda: self._refund(application, now)
        return answer

    def _refund(self, application: Application, spent_at: Milliseconds) -> None:
        try:
            self.allowances.refund(application.client_id, application.limits, spent_at)
        except StoreUnavailable as fault:
            # What went wrong first is what the client is told. It has one token less than was agreed.
            log.fault("allowance_not_refunded", fault, message=str(fault))


def _note(client: Client) -> None:
    match client:
        case Application():
            notes.current().application = client
        case PrincipalClient():
            notes.current().principal = client.principal.name


def _short(shortage: Shortage) -> OAuthError:
    if shortage.reason is Reason.APPLICATION_RATE:
        return too_many_requests(shortage.reason, shortage.retry_after)
    return OAuthError(
        "quota_exceeded", "the agreed quota is used up", shortage.reason, status=429, retry_after=shortage.retry_after
    )
