"""The method of the onboarding service for usage."""

import grpc

from number_verification.domain.onboarding.usage import UsageQuery, UsageReading, query
from number_verification.domain.usage import Usage
from number_verification.gen.onboarding.v1 import usage_pb2 as pb
from number_verification.services.entities import usage_message
from number_verification.services.onboarding.calls import OnboardingCalls, page_size, within

_SEPARATOR = "\n"
"""Between the parts of what is counted, in a page token; none of them has line ends."""


class UsageMethods:
    """Serves the method by its use case."""

    _calls: OnboardingCalls
    _usage: UsageReading

    def QueryUsage(self, request: pb.QueryUsageRequest, _: grpc.ServicerContext) -> pb.QueryUsageResponse:
        """Sum up usage, page by page."""
        asked = UsageQuery(within(request.parent), request.first_day, request.last_day, request.application)
        listing = (request.DESCRIPTOR.full_name, *asked)
        size, last = page_size(request), self._calls.page_tokens.last(request.page_token, *listing)
        after = Usage(*last.split(_SEPARATOR)) if last else None
        rows = self._calls.read(
            lambda reading, principal: query(reading, self._usage, principal, asked, after, size + 1)
        )
        more = ""
        if len(rows) > size:
            more = self._calls.page_tokens.token(_SEPARATOR.join(rows[size - 1].usage), *listing)
        return pb.QueryUsageResponse(rows=map(usage_message, rows[:size]), next_page_token=more)
