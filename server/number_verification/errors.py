"""THE error table: what each kind of refusal is on every transport.

Texts are for people at the caller's side and say nothing of our internals (design D6). Codes and statuses are those of
the CAMARA specification and of Commonalities; gRPC statuses carry a `google.rpc.ErrorInfo`.
"""

from typing import NamedTuple

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2

from number_verification.domain.faults import StoreFull, StoreUnavailable
from number_verification.domain.refusal import Kind, Reason, Refusal

DOMAIN = "number-verification"
MAX_MESSAGE_LENGTH = 512
"""Characters of a message (Commonalities 0.9, `ErrorInfo.message`)."""

MAX_VIOLATIONS = 20
"""Violations that are told one by one. Details travel as metadata, and gRPC clients take 8 KiB of that by default: with
more, the caller would be told that the stream broke."""


class PublicError(NamedTuple):
    """One row of the table."""

    code: str
    """The REST error code."""
    http_status: int
    grpc_status: grpc.StatusCode
    reason: str
    """`ErrorInfo.reason`."""
    message: str


TABLE: dict[Kind, PublicError] = {
    Kind.INVALID_ARGUMENT: PublicError(
        "INVALID_ARGUMENT",
        400,
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_ARGUMENT",
        "The request does not keep to the contract.",
    ),
    Kind.UNAUTHENTICATED: PublicError(
        "UNAUTHENTICATED",
        401,
        grpc.StatusCode.UNAUTHENTICATED,
        "UNAUTHENTICATED",
        "The access token is missing, invalid, expired or used up. Let the user authorize again.",
    ),
    Kind.PERMISSION_DENIED: PublicError(
        "PERMISSION_DENIED",
        403,
        grpc.StatusCode.PERMISSION_DENIED,
        "PERMISSION_DENIED",
        "The application is not permitted to do this.",
    ),
    Kind.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK: PublicError(
        "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK",
        403,
        grpc.StatusCode.PERMISSION_DENIED,
        "USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK",
        "The end user was not authenticated by the mobile network.",
    ),
    Kind.NOT_FOUND: PublicError("NOT_FOUND", 404, grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "There is no such resource."),
    Kind.ALREADY_EXISTS: PublicError(
        "ALREADY_EXISTS",
        409,
        grpc.StatusCode.ALREADY_EXISTS,
        "ALREADY_EXISTS",
        "There is such a resource already.",
    ),
    Kind.ABORTED: PublicError(
        "ABORTED",
        409,
        grpc.StatusCode.ABORTED,
        "ABORTED",
        "The resource was changed in the meantime. Read it again before the next attempt.",
    ),
    Kind.FAILED_PRECONDITION: PublicError(
        "FAILED_PRECONDITION",
        400,
        grpc.StatusCode.FAILED_PRECONDITION,
        "FAILED_PRECONDITION",
        "The state of the resource does not allow this.",
    ),
    Kind.METHOD_NOT_ALLOWED: PublicError(
        "METHOD_NOT_ALLOWED",
        405,
        grpc.StatusCode.UNIMPLEMENTED,
        "METHOD_NOT_ALLOWED",
        "This path does not know the method.",
    ),
    Kind.NOT_ACCEPTABLE: PublicError(
        "NOT_ACCEPTABLE",
        406,
        grpc.StatusCode.INVALID_ARGUMENT,
        "NOT_ACCEPTABLE",
        "The server answers with application/json, which the Accept header excludes.",
    ),
    Kind.UNSUPPORTED_MEDIA_TYPE: PublicError(
        "UNSUPPORTED_MEDIA_TYPE",
        415,
        grpc.StatusCode.INVALID_ARGUMENT,
        "UNSUPPORTED_MEDIA_TYPE",
        "The request body must be application/json in UTF-8.",
    ),
    Kind.TOO_MANY_REQUESTS: PublicError(
        "TOO_MANY_REQUESTS",
        429,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "TOO_MANY_REQUESTS",
        "Too many requests. Try again later.",
    ),
    Kind.QUOTA_EXCEEDED: PublicError(
        "QUOTA_EXCEEDED",
        429,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "QUOTA_EXCEEDED",
        "The agreed quota is used up.",
    ),
    Kind.INTERNAL: PublicError(
        "INTERNAL", 500, grpc.StatusCode.INTERNAL, "INTERNAL", "Something went wrong on our side."
    ),
    Kind.UNIMPLEMENTED: PublicError(
        "NOT_IMPLEMENTED",
        501,
        grpc.StatusCode.UNIMPLEMENTED,
        "UNIMPLEMENTED",
        "There is no such method.",
    ),
    Kind.UNAVAILABLE: PublicError(
        "UNAVAILABLE",
        503,
        grpc.StatusCode.UNAVAILABLE,
        "UNAVAILABLE",
        "The service is not available now. Try again later.",
    ),
    Kind.TIMEOUT: PublicError(
        "TIMEOUT", 504, grpc.StatusCode.DEADLINE_EXCEEDED, "TIMEOUT", "The request took too long."
    ),
}

DEFAULT_RETRY_AFTER = 1
"""Seconds that 429 and 503 ask for where the refusal does not know better."""


def as_refusal(exception: BaseException) -> Refusal:
    """The refusal that an exception stands for, never raised; whatever is not known is INTERNAL, and says nothing."""
    match exception:
        case Refusal(kind=kind, reason=reason, violations=violations, retry_after=seconds):
            # A new one. One that was raised holds the frames it came through, and by them the call that it is kept in:
            # a cycle, which would keep the call's stream open until the garbage collector comes by.
            return Refusal(kind, reason, violations=violations, retry_after=seconds)
        case StoreFull():
            return Refusal(Kind.UNAVAILABLE, Reason.STORE_FULL)
        case StoreUnavailable():
            return Refusal(Kind.UNAVAILABLE, Reason.STORE_UNAVAILABLE)
        case _:
            return Refusal(Kind.INTERNAL, Reason.FAULT)


def operator_text(exception: BaseException) -> str:
    """What the log may say of an exception: the texts of stores' faults name no content, any other might."""
    return str(exception) if isinstance(exception, StoreUnavailable) else ""


def message(refusal: Refusal) -> str:
    """What people at the caller's side read."""
    text = TABLE[refusal.kind].message
    if refusal.violations:
        text = "; ".join(f"{v.field}: {v.description}" if v.field else v.description for v in refusal.violations)
    return text if len(text) <= MAX_MESSAGE_LENGTH else text[: MAX_MESSAGE_LENGTH - 1] + "…"


def retry_after(refusal: Refusal) -> int | None:
    """Seconds after which to try again, where trying again can help."""
    if TABLE[refusal.kind].http_status in (429, 503):
        return refusal.retry_after or DEFAULT_RETRY_AFTER
    return None


def rpc_status(refusal: Refusal) -> status_pb2.Status:
    """The refusal as a `google.rpc.Status` with its details."""
    error = TABLE[refusal.kind]
    status = status_pb2.Status(code=error.grpc_status.value[0], message=message(refusal))
    info = error_details_pb2.ErrorInfo(domain=DOMAIN, reason=error.reason)
    seconds = retry_after(refusal)
    if seconds is not None:
        info.metadata["retry_after"] = str(seconds)
    status.details.append(_packed(info))
    if seconds is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromSeconds(seconds)
        status.details.append(_packed(retry))
    if refusal.kind is Kind.INVALID_ARGUMENT:
        request = error_details_pb2.BadRequest()
        for violation in refusal.violations[:MAX_VIOLATIONS]:
            request.field_violations.add(field=violation.field, description=violation.description)
        status.details.append(_packed(request))
    return status


def _packed(
    detail: "error_details_pb2.ErrorInfo | error_details_pb2.RetryInfo | error_details_pb2.BadRequest",
) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
