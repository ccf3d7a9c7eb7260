"""What the sync and the async client share: how a call is built, and how its answer or its failure is read."""

import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from number_verification_client import errors, phone_number
from number_verification_client.gen.numberverification.v2 import number_verification_pb2 as pb
from number_verification_client.results import DevicePhoneNumber, Verification

Result = TypeVar("Result")
Metadata: TypeAlias = Iterable[tuple[str, Any]] | None

ERROR_DOMAIN = "number-verification"

_SERVICE = pb.DESCRIPTOR.services_by_name["NumberVerificationService"].full_name
_CORRELATOR = re.compile(r"[a-zA-Z0-9-_:;./<>{}]{1,256}")
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]{1,8192}=*")  # RFC 6750 §2.1, `b64token`

# What gRPC's core says when a call never left this machine. If a later gRPC words it differently, such a failure counts
# as "may be used", which costs the caller a token and nothing else.
_NEVER_SENT = ("failed to connect to all addresses", "errors resolving ", "DNS resolution failed ")

_BY_CODE: dict[grpc.StatusCode, type[errors.NumberVerificationError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgument,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDenied,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.ResourceExhausted,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.Timeout,
}


@dataclass(frozen=True, slots=True, repr=False)
class Call(Generic[Result]):
    """One call, ready to be sent. Requests and answers are bytes here: see `read`."""

    method: str
    request: bytes
    metadata: tuple[tuple[str, str], ...]
    correlator: str
    parse: Callable[[bytes, str], Result]

    def read(self, answer: bytes, initial_metadata: Metadata) -> Result:
        """The result of an answer.

        Parsed here rather than by gRPC, which logs a stack trace for a malformed answer and then, in its async
        client, returns None.
        """
        correlator = _echoed(self.correlator, initial_metadata)
        try:
            return self.parse(answer, correlator)
        except (DecodeError, ValueError) as error:
            raise errors.ResponseRejected(
                "the answer does not keep to the contract", reason="MALFORMED_ANSWER", correlator=correlator
            ) from error

    def failure(self, error: grpc.RpcError) -> errors.NumberVerificationError:
        """The exception that a failed call stands for."""
        # Both clients raise errors that are finished calls as well, which the type of gRPC does not tell.
        ended = cast("grpc.Call", error)
        code, details = ended.code(), ended.details() or ""
        trailing_metadata: Metadata = ended.trailing_metadata()
        info, retry_after, violations = _read_details(_rich_status(ended))
        reason = info.reason if info.domain == ERROR_DOMAIN and info.reason else code.name
        kind = _BY_CODE.get(code, errors.NumberVerificationError)
        if kind is errors.PermissionDenied and reason == "USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK":
            kind = errors.UserNotAuthenticatedByMobileNetwork
        never_sent = code is grpc.StatusCode.UNAVAILABLE and not trailing_metadata and details.startswith(_NEVER_SENT)
        return kind(
            errors.legible(details),
            code=code,
            reason=errors.legible(reason),
            correlator=_echoed(_echoed(self.correlator, ended.initial_metadata()), trailing_metadata),
            retry_after=retry_after,
            field_violations=violations,
            # The service counts requests before it touches the token; a rate refusal leaves the token whole.
            token_may_be_used=not (never_sent or reason == "TOO_MANY_REQUESTS"),
        )


def verify(access_token: str, number: str, correlator: str | None) -> Call[Verification]:
    """A call that compares a phone number."""
    request = pb.VerifyPhoneNumberRequest(phone_number=phone_number.checked_phone_number(number))
    return _call("VerifyPhoneNumber", request, access_token, correlator, _parse_verification)


def verify_hashed(access_token: str, hashed: str, correlator: str | None) -> Call[Verification]:
    """A call that compares the hash of a phone number."""
    request = pb.VerifyPhoneNumberRequest(hashed_phone_number=phone_number.checked_hash(hashed))
    return _call("VerifyPhoneNumber", request, access_token, correlator, _parse_verification)


def device_phone_number(access_token: str, correlator: str | None) -> Call[DevicePhoneNumber]:
    """A call that asks for the phone number."""
    request = pb.GetDevicePhoneNumberRequest()
    return _call("GetDevicePhoneNumber", request, access_token, correlator, _parse_device_phone_number)


def _call(
    method: str, request: Message, access_token: str, correlator: str | None, parse: Callable[[bytes, str], Result]
) -> Call[Result]:
    if _BEARER_TOKEN.fullmatch(access_token) is None:
        raise errors.invalid_argument("access_token", "is not a bearer token (RFC 6750 §2.1)")
    correlator = correlator or str(uuid.uuid4())
    if _CORRELATOR.fullmatch(correlator) is None:
        raise errors.invalid_argument("x-correlator", "must be at most 256 of a-z A-Z 0-9 - _ : ; . / < > { }")
    metadata = (("authorization", f"Bearer {access_token}"), ("x-correlator", correlator))
    return Call(f"/{_SERVICE}/{method}", request.SerializeToString(), metadata, correlator, parse)


def _parse_verification(answer: bytes, correlator: str) -> Verification:
    return Verification(pb.VerifyPhoneNumberResponse.FromString(answer).device_phone_number_verified, correlator)


def _parse_device_phone_number(answer: bytes, correlator: str) -> DevicePhoneNumber:
    number = pb.GetDevicePhoneNumberResponse.FromString(answer).device_phone_number
    if not phone_number.is_phone_number(number):
        raise ValueError("not a phone number")
    return DevicePhoneNumber(number, correlator)


def _echoed(correlator: str, metadata: Metadata) -> str:
    """The correlator that the server used: its own one if it did not take ours."""
    for key, value in metadata or ():
        if key == "x-correlator" and _CORRELATOR.fullmatch(value):
            return str(value)
    return correlator


def _rich_status(ended: grpc.Call) -> status_pb2.Status:
    # `grpc_status.rpc_status.aio.from_call` is for calls in flight; a finished one of grpc.aio has the sync methods.
    try:
        return rpc_status.from_call(ended) or status_pb2.Status()
    except (ValueError, DecodeError):
        return status_pb2.Status()


def _read_details(
    status: status_pb2.Status,
) -> tuple[error_details_pb2.ErrorInfo, float | None, list[errors.FieldViolation]]:
    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    request = error_details_pb2.BadRequest()
    for detail in status.details:
        for known in (info, retry, request):
            if detail.Is(known.DESCRIPTOR):
                try:
                    detail.Unpack(known)
                except DecodeError:
                    known.Clear()
    delay = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    violations = [
        errors.FieldViolation(errors.legible(v.field), errors.legible(v.description)) for v in request.field_violations
    ]
    return info, delay if delay > 0 else None, violations
