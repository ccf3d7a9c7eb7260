"""5. The token: who calls, and whether they may call this method."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor

from number_verification.domain.access import AccessCheck
from number_verification.domain.callers import CallerCheck, authorize
from number_verification.domain.contract import AccessRule, Caller
from number_verification.domain.onboarding.principal import PrincipalClient
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.interceptors.call import Call, current
from number_verification.interceptors.peer import peer_identities

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")
"""RFC 6750 §2.1; the scheme is case-insensitive (RFC 9110 §11.1)."""


class TokenInterceptor(ServerInterceptor):
    """Lets a call in by its method's access rule. A method without a rule does not exist for the outside.

    Args:
        rules: the access rules of the contract by full method name.
        access: for callers with an access token.
        callers: for principals: services of the operator, and people.
    """

    def __init__(self, rules: Mapping[str, AccessRule], access: AccessCheck, callers: CallerCheck) -> None:
        self._rules = rules
        self._access = access
        self._callers = callers

    def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: grpc.ServicerContext, method_name: str
    ) -> Any:
        """Authenticate and authorize the caller, using its access token up."""
        rule = self._rules.get(method_name)
        if rule is None:
            raise Refusal(Kind.UNIMPLEMENTED, Reason.NO_ACCESS_RULE)
        call = current.get()
        if rule.caller is Caller.API_CONSUMER:
            call.authenticated = self._access.authenticate(_bearer_token(call))
            call.caller = call.authenticated.grant.client_id
            self._access.authorize(call.authenticated, rule.scopes)
        else:
            caller = self._caller(call, peer_identities(context))
            call.caller = caller.principal.name
            call.principal = authorize(caller, rule.roles)
        return method(request_or_iterator, context)

    def _caller(self, call: Call, certificate_names: frozenset[str]) -> PrincipalClient:
        caller = self._callers.service_with_certificate(certificate_names)
        # A token says what its bearer means. The names of people's certificates are what an administrator somewhere
        # wrote down: that of a service which has a certificate for the connection only may be among them.
        if caller is None and not call.authorizations:
            caller = self._callers.person_with_certificate(certificate_names)
        return caller or self._callers.by_token(_bearer_token(call))


def _bearer_token(call: Call) -> str:
    values = call.authorizations
    if not values:
        raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_MISSING)
    if len(values) > 1:
        raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_DUPLICATE)
    match = _BEARER.fullmatch(values[0])
    if match is None:
        raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_MALFORMED)
    return match[1]
