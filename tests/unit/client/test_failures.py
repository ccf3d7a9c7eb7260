import contextlib
import threading
import time
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from number_verification_client import (
    FieldViolation,
    InvalidArgument,
    NumberVerificationError,
    PermissionDenied,
    ResourceExhausted,
    ResponseRejected,
    Timeout,
    Unauthenticated,
    Unavailable,
    UserNotAuthenticatedByMobileNetwork,
    _calls,
)
from number_verification_client.gen.numberverification.v2 import number_verification_pb2 as pb
from unit.client.service import (
    NUMBER,
    TOKEN,
    VERIFIED,
    PlainStatus,
    Service,
    call,
    failed,
    info,
    retry_info,
    rich,
    running,
    status,
)

Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "reason", "kind", "token_may_be_used"),
    [
        (Code.INVALID_ARGUMENT, "INVALID_ARGUMENT", InvalidArgument, True),
        (Code.UNAUTHENTICATED, "UNAUTHENTICATED", Unauthenticated, True),
        (Code.PERMISSION_DENIED, "PERMISSION_DENIED", PermissionDenied, True),
        (
            Code.PERMISSION_DENIED,
            "USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK",
            UserNotAuthenticatedByMobileNetwork,
            True,
        ),
        (Code.RESOURCE_EXHAUSTED, "TOO_MANY_REQUESTS", ResourceExhausted, False),
        (Code.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", ResourceExhausted, True),
        (Code.UNAVAILABLE, "UNAVAILABLE", Unavailable, True),
        (Code.DEADLINE_EXCEEDED, "TIMEOUT", Timeout, True),
        (Code.INTERNAL, "INTERNAL", NumberVerificationError, True),
        (Code.UNIMPLEMENTED, "UNIMPLEMENTED", NumberVerificationError, True),
        (Code.CANCELLED, "CANCELLED", NumberVerificationError, True),
    ],
)
def test_every_refusal_has_its_exception(
    face: str,
    service: Service,
    code: grpc.StatusCode,
    reason: str,
    kind: type[NumberVerificationError],
    token_may_be_used: bool,
) -> None:
    service.answer = status(code, info(reason))
    error = failed(face, service)
    assert type(error) is kind
    assert (error.code, error.reason, error.message) == (code, reason, "for people")
    assert error.token_may_be_used is token_may_be_used
    assert error.retry_after is None
    assert error.field_violations == ()
    assert len(service.calls) == 1


@pytest.mark.parametrize("code", [Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE])
def test_retry_after(face: str, service: Service, code: grpc.StatusCode) -> None:
    service.answer = status(code, info("TOO_MANY_REQUESTS"), retry_info(7, 500_000_000))
    assert failed(face, service).retry_after == 7.5


def test_a_delay_in_the_past_is_none(face: str, service: Service) -> None:
    service.answer = status(Code.UNAVAILABLE, retry_info(-(2**62)))
    assert failed(face, service).retry_after is None


def test_field_violations(face: str, service: Service) -> None:
    request = error_details_pb2.BadRequest()
    request.field_violations.add(field="phoneNumber", description="wrong\nform")
    service.answer = status(Code.INVALID_ARGUMENT, info("INVALID_ARGUMENT"), request)
    assert failed(face, service).field_violations == (FieldViolation("phoneNumber", "wrongform"),)


def test_a_status_without_details_is_named_by_its_code(face: str, service: Service) -> None:
    service.answer = PlainStatus(Code.PERMISSION_DENIED)
    error = failed(face, service)
    assert type(error) is PermissionDenied
    assert error.reason == "PERMISSION_DENIED"


def test_a_reason_of_another_domain_means_nothing(face: str, service: Service) -> None:
    service.answer = status(Code.RESOURCE_EXHAUSTED, info("TOO_MANY_REQUESTS", domain="proxy.example"))
    error = failed(face, service)
    assert error.reason == "RESOURCE_EXHAUSTED"
    assert error.token_may_be_used


@pytest.mark.parametrize(
    "details",
    [b"\xff\xff\xff", b"", b"\x08\x01", b"\x08\x0d\x1a\x08\x0a\x04junk\x12\x00"],
    ids=["garbage", "empty", "contradicting", "unknown"],
)
def test_details_that_cannot_be_used_are_left_aside(face: str, service: Service, details: bytes) -> None:
    service.answer = PlainStatus(Code.INTERNAL, "text", (("grpc-status-details-bin", details),))
    error = failed(face, service)
    assert (error.code, error.reason, error.message) == (Code.INTERNAL, "INTERNAL", "text")


def test_a_damaged_detail_is_left_aside(face: str, service: Service) -> None:
    rich: Any = status(Code.UNAVAILABLE, info("UNAVAILABLE"))
    spoiled = rich.trailing_metadata[0][1].replace(b"number-verification", b"\xff" * 19)
    service.answer = PlainStatus(Code.UNAVAILABLE, "for people", (("grpc-status-details-bin", spoiled),))
    assert failed(face, service).reason == "UNAVAILABLE"


def test_a_servers_text_is_made_legible(face: str, service: Service) -> None:
    service.answer = PlainStatus(Code.INTERNAL, "a\r\nb\x1b[31m" + "c" * 2000)
    assert failed(face, service).message == "ab[31m" + "c" * 503


@pytest.mark.parametrize("where", ["client", "call"])
def test_every_call_has_a_deadline(face: str, service: Service, where: str) -> None:
    service.hold = True
    options = {"insecure": True, "timeout": 0.3 if where == "client" else 30.0}
    start = time.monotonic()
    error = failed(face, service, options=options, **({"timeout": 0.3} if where == "call" else {}))
    assert time.monotonic() - start < 3
    assert type(error) is Timeout
    assert error.token_may_be_used


def test_the_default_deadline_is_sent(face: str, service: Service) -> None:
    call(face, service.target, "verify", TOKEN, NUMBER, options={"insecure": True})
    assert 8 < service.calls[0].time_left < 11


def test_a_dead_server_leaves_the_token_whole(face: str) -> None:
    service = Service()
    with running(service):
        pass
    error = failed(face, service)
    assert type(error) is Unavailable
    assert not error.token_may_be_used


def test_a_host_that_does_not_resolve_leaves_the_token_whole(face: str) -> None:
    with pytest.raises(Unavailable) as caught:
        call(face, f"{'a' * 64}.invalid:443", "verify", TOKEN, NUMBER, options={"timeout": 5.0})
    assert not caught.value.token_may_be_used


def test_a_server_that_dies_with_the_call_may_have_used_the_token(face: str) -> None:
    service = Service()
    service.hold = True
    with running(service) as server:
        killer = threading.Thread(target=lambda: service.arrived.wait(5) and server.stop(0))
        killer.start()
        error = failed(face, service)
        killer.join()
    assert error.token_may_be_used
    assert len(service.calls) == 1


def test_a_status_that_only_sounds_unsent(face: str, service: Service) -> None:
    service.answer = status(Code.UNAVAILABLE, message="failed to connect to all addresses of the store")
    assert failed(face, service).token_may_be_used


@pytest.mark.parametrize(
    ("method", "arguments", "answer"),
    [
        ("verify", (NUMBER,), b"\xff\xff"),
        ("verify", (NUMBER,), b"\x08"),
        ("device_phone_number", (), b"\xff\xff"),
        ("device_phone_number", (), b"\x0a\xff"),
        ("device_phone_number", (), b"\x0a\x02\xff\xff"),
    ],
)
def test_a_malformed_answer(
    face: str,
    service: Service,
    method: str,
    arguments: tuple[str, ...],
    answer: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    service.answer = answer
    with pytest.raises(ResponseRejected) as caught:
        call(face, service.target, method, TOKEN, *arguments, correlator="c")
    assert caught.value.reason == "MALFORMED_ANSWER"
    assert caught.value.correlator == "c"
    assert not caplog.records


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=60))
def test_any_answer_is_read_or_refused(answer: bytes) -> None:
    for built in (_calls.verify(TOKEN, NUMBER, None), _calls.device_phone_number(TOKEN, None)):
        with contextlib.suppress(ResponseRejected):
            built.read(answer, None)


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=60), st.integers(0, 40))
def test_any_details_are_read_or_left_aside(junk: bytes, position: int) -> None:
    genuine = rich(Code.UNAVAILABLE, info("UNAVAILABLE"), retry_info(1)).SerializeToString()
    for details in (junk, genuine[:position] + junk + genuine[position:], genuine[:position]):
        metadata = grpc.aio.Metadata(("grpc-status-details-bin", details))
        error = grpc.aio.AioRpcError(Code.UNAVAILABLE, grpc.aio.Metadata(), metadata, "for people", None)
        assert type(_calls.verify(TOKEN, NUMBER, None).failure(error)) is Unavailable


@pytest.mark.parametrize("number", ["", "990123456789", "+0123456", "+9901234567890123", "+99012 3456"])
def test_an_answer_that_is_no_phone_number(face: str, service: Service, number: str) -> None:
    service.answer = pb.GetDevicePhoneNumberResponse(device_phone_number=number).SerializeToString()
    with pytest.raises(ResponseRejected):
        call(face, service.target, "device_phone_number", TOKEN)


def test_a_huge_answer_is_not_taken_in(face: str, service: Service) -> None:
    service.answer = VERIFIED + b"\x12\x80\x80\x40" + bytes(1 << 20)
    assert failed(face, service).code is Code.RESOURCE_EXHAUSTED
