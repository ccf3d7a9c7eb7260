"""1. The correlator: every answer carries one."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor

from number_verification.interceptors.call import CORRELATOR, Call, current

_VALID = re.compile(r"[a-zA-Z0-9-_:;./<>{}]{1,256}")
"""CAMARA `XCorrelator`. To be matched in full: with `$`, Python would let a trailing newline through."""


def correlator_or_new(given: str | None) -> str:
    """The correlator that a caller gave, or a new one where it gave none or one that breaks its rule."""
    return given if given and _VALID.fullmatch(given) else str(uuid.uuid4())


class CorrelatorInterceptor(ServerInterceptor):
    """Takes the caller's correlator over, or makes one, and returns it in the initial metadata.

    One that breaks its rule is replaced here and refused by the validation, since 401 and 403 go before 400. In errors
    the trailing metadata carries it too (see the errors interceptor).
    """

    def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: grpc.ServicerContext, method_name: str
    ) -> Any:
        """Begin the call."""
        call = Call(method_name, context)
        given = call.correlators
        call.correlator = correlator_or_new(given[0] if len(given) == 1 else None)
        call.correlator_is_valid = not any(given) or given == [call.correlator]
        context.send_initial_metadata(((CORRELATOR, call.correlator),))
        token = current.set(call)
        try:
            return method(request_or_iterator, context)
        finally:
            current.reset(token)
