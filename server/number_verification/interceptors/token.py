"""5. The token: who calls, and whether they may call this method."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor

from number_verification.domain.access import AccessCheck
from number_verification.domain.contract import AccessRule, Caller
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.interceptors.call import Call, current
from number_verification.interceptors.peer import peer_identities

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]+=*)")
"""RFC 6750 §2.1; the scheme is case-insensitive (RFC 9110 §11.1)."""


@dataclass(frozen=True, slots=True)
class InternalService:
    """A service of the operator that may call internal methods."""

    name: str
    roles: frozenset[str]
    certificate_names: frozenset[str] = frozenset()
    """Names in its client certificate, any of which identifies it."""
    token_digest: bytes = field(default=b"", repr=False)
    """SHA-256 of its service token; empty where it has none."""


class TokenInterceptor(ServerInterceptor):
    """Lets a call in by its method's access rule. A method without a rule does not exist for the outside.

    Args:
        rules: the access rules of the contract by full method name.
        access: for callers with an access token.
        internal_services: for callers that are services of the operator.
    """

    def __init__(
        self, rules: Mapping[str, AccessRule], access: AccessCheck, internal_services: Sequence[InternalService]
    ) -> None:
        self._rules = rules
        self._access = access
        self._internal_services = internal_services

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
            self._access.authorize(call.authenticated.grant, rule.scopes)
        else:
            service = self._internal_service(call, context)
            call.caller = service.name
            if not service.roles & rule.roles:
                raise Refusal(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING)
        return method(request_or_iterator, context)

    def _internal_service(self, call: Call, context: grpc.ServicerContext) -> InternalService:
        names = peer_identities(context)
        for service in self._internal_services:
            if names & service.certificate_names:
                return service
        digest = hashlib.sha256(_bearer_token(call).encode()).digest()
        for service in self._internal_services:
            if service.token_digest and hmac.compare_digest(service.token_digest, digest):
                return service
        raise Refusal(Kind.UNAUTHENTICATED, Reason.CALLER_UNKNOWN)


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
