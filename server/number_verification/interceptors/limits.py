"""4. Limits: how often one peer may call. In front of the token, so that a 429 never costs one."""

import math
from collections.abc import Callable
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor

from number_verification.domain.rate import TokenBuckets
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.interceptors.peer import peer_address


class LimitsInterceptor(ServerInterceptor):
    """Refuses a peer that calls more often than agreed.

    Args:
        buckets: one for each peer address; None where nothing is limited.
    """

    def __init__(self, buckets: TokenBuckets | None) -> None:
        self._buckets = buckets

    def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: grpc.ServicerContext, method_name: str
    ) -> Any:
        """Take one call from the peer's bucket, then serve it."""
        if self._buckets is not None:
            wait = self._buckets.take(peer_address(context))
            if wait:
                raise Refusal(Kind.TOO_MANY_REQUESTS, Reason.PEER_RATE, retry_after=math.ceil(wait))
        return method(request_or_iterator, context)
