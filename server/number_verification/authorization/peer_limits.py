"""How often one peer, or one device, may ask the authorization server: in front of every look-up and signature."""

import math
from collections.abc import Callable

from number_verification.authorization.oauth import too_many_requests
from number_verification.domain.rate import TokenBuckets
from number_verification.domain.refusal import Reason
from number_verification.rest.http import Handler, HttpRequest, HttpResponse


def limited(handler: Handler, buckets: TokenBuckets | None, key: Callable[[HttpRequest], str]) -> Handler:
    """A handler that is asked no more often than agreed.

    Args:
        handler: what answers.
        buckets: one for each key; None where nothing is limited.
        key: whose bucket a request is taken from.
    """
    if buckets is None:
        return handler

    def respond(request: HttpRequest) -> HttpResponse:
        wait = buckets.take(key(request))
        if wait:
            # As JSON also at the authorization endpoint: where to redirect to is not looked up yet.
            raise too_many_requests(Reason.PEER_RATE, math.ceil(wait))
        return handler(request)

    return respond
