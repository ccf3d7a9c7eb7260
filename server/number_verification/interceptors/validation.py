"""7. Validation: decodes the request and holds it to the field rules of the contract."""

from collections.abc import Callable, Iterator
from typing import Any, cast

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
            request = _checked(request_or_iterator)
            call = current.get()
            if call.principal is not None:
                call.resource, call.phone_number = subject(request)
            return method(request, context)
        return method(_each_checked(request_or_iterator), context)


def subject(request: Message) -> tuple[str, str]:
    """What a request of an internal service is about, by its fields: a resource, and a phone number.

    The resource is the one that is named (AIP-122), else the one that a given resource says it is, else the parent of
    what is created or listed, else the application.
    """
    fields, message = request.DESCRIPTOR.fields_by_name, cast("Any", request)
    named = [message.name] if "name" in fields else []
    for field in fields.values():
        inner = field.message_type
        if inner is not None and not field.is_repeated and "name" in inner.fields_by_name:
            named.append(getattr(message, field.name).name)
    named += [getattr(message, name) for name in ("parent", "application") if name in fields]
    return next(filter(None, named), ""), message.phone_number if "phone_number" in fields else ""


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
