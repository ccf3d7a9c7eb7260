"""The interceptors: ONE ordered list, run by gRPC and by REST alike."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import grpc
from grpc_interceptor import ServerInterceptor

from number_verification.domain import clock
from number_verification.domain.access import AccessCheck
from number_verification.domain.audit import AuditLog
from number_verification.domain.callers import CallerCheck
from number_verification.domain.contract import AccessRule
from number_verification.domain.rate import TokenBuckets
from number_verification.interceptors.audit import AuditInterceptor
from number_verification.interceptors.correlator import CorrelatorInterceptor
from number_verification.interceptors.limits import LimitsInterceptor
from number_verification.interceptors.observe import ObserveInterceptor
from number_verification.interceptors.origin import OriginCheck, OriginInterceptor
from number_verification.interceptors.refusals import ErrorsInterceptor
from number_verification.interceptors.token import TokenInterceptor
from number_verification.interceptors.validation import ValidationInterceptor

Behaviour: TypeAlias = Callable[[Any, grpc.ServicerContext], Any]
"""What serves a method: takes the request (or an iterator of requests) and the context, returns the response."""

FRAME = 5
"""How many of the list frame every answer, also one to a method or path that does not exist."""


def chain(
    *,
    rules: Mapping[str, AccessRule],
    audit: AuditLog,
    buckets: TokenBuckets | None,
    access: AccessCheck,
    callers: CallerCheck,
    origin: OriginCheck,
) -> tuple[ServerInterceptor, ...]:
    """The list, outermost first. Its order is part of the contract: 401 before 403 before 400, and 429 before all."""
    return (
        CorrelatorInterceptor(),
        ObserveInterceptor(frozenset(rules)),
        ErrorsInterceptor(),
        AuditInterceptor(audit, frozenset(rules), clock.now),
        LimitsInterceptor(buckets),
        TokenInterceptor(rules, access, callers),
        OriginInterceptor(rules, origin),
        ValidationInterceptor(),
    )


def compose(interceptors: Sequence[ServerInterceptor], method_name: str, behaviour: Behaviour) -> Behaviour:
    """The behaviour of a method with the interceptors around it, composed once instead of at every call."""
    for interceptor in reversed(interceptors):
        behaviour = _around(interceptor, method_name, behaviour)
    return behaviour


def _around(interceptor: ServerInterceptor, method_name: str, inner: Behaviour) -> Behaviour:
    intercept = interceptor.intercept

    def behaviour(request: Any, context: grpc.ServicerContext) -> Any:
        return intercept(inner, request, context, method_name)

    return behaviour
