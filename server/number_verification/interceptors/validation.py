"""7. Validation: decodes the request and holds it to the field rules of the contract."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from grpc_interceptor import ServerInterceptor

from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.interceptors.call import CORRELATOR, current
from number_verification.interceptors.field_rules import validate

Undecoded = Callable[[], Message]
"""A request as it arrived. Decoding it is part of the validation, because an unauthenticated call must not learn
whether its request could be read (401 before 403 before 400)."""


class ValidationInterceptor(ServerInterceptor):
    """Passes on requests that keep to the contract, decoded."""

    def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: grpc.ServicerContext, method_name: str
    ) -> Any:
        """Decode and check the request, or each request of a stream as it comes."""
        if not current.get().correlator_is_valid:
            violation = Violation(
                CORRELATOR, "must be one value of at most 256 of the characters a-z A-Z 0-9 -_:;./<>{}"
            )
            raise Refusal(Kind.INVALID_ARGUMENT, Reason.CORRELATOR_MALFORMED, violations=[violation])
        if callable(request_or_iterator):
            return method(_checked(request_or_iterator), context)
        return method(_each_checked(request_or_iterator), context)


def _each_checked(requests: Iterator[Undecoded]) -> Iterator[Message]:
    for request in requests:
        yield _checked(request)


def _checked(request: Undecoded) -> Message:
    try:
        message = request()
    except DecodeError:
        violation = Violation("", "the message cannot be decoded")
        raise Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=[violation]) from None
    violations = validate(message)
    if violations:
        raise Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=violations)
    return message
