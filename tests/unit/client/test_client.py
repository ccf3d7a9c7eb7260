import asyncio
import threading
import uuid
from typing import Any

import grpc
import pytest

from number_verification_client import (
    AsyncNumberVerificationClient,
    InvalidArgument,
    NumberVerificationClient,
    Unavailable,
    hash_phone_number,
)
from number_verification_client.gen.numberverification.v2 import number_verification_pb2 as pb
from unit.client.certificates import Authority
from unit.client.service import (
    NUMBER,
    TOKEN,
    VERIFIED,
    PlainStatus,
    Service,
    call,
    failed,
    running,
)

Code = grpc.StatusCode
METHODS = [
    ("verify", (NUMBER,)),
    ("verify_hashed", (hash_phone_number(NUMBER),)),
    ("device_phone_number", ()),
]


@pytest.mark.parametrize("verified", [True, False])
def test_verify(face: str, service: Service, verified: bool) -> None:
    service.answer = pb.VerifyPhoneNumberResponse(device_phone_number_verified=verified).SerializeToString()
    result = call(face, service.target, "verify", TOKEN, NUMBER)
    assert bool(result) is result.verified is verified
    [received] = service.calls
    assert received.method == "/numberverification.v2.NumberVerificationService/VerifyPhoneNumber"
    assert received.values("authorization") == [f"Bearer {TOKEN}"]
    assert pb.VerifyPhoneNumberRequest.FromString(received.request) == pb.VerifyPhoneNumberRequest(phone_number=NUMBER)


def test_verify_hashed(face: str, service: Service) -> None:
    hashed = hash_phone_number(NUMBER)
    assert call(face, service.target, "verify_hashed", TOKEN, hashed)
    [received] = service.calls
    assert pb.VerifyPhoneNumberRequest.FromString(received.request) == pb.VerifyPhoneNumberRequest(
        hashed_phone_number=hashed
    )


def test_device_phone_number(face: str, service: Service) -> None:
    service.answer = pb.GetDevicePhoneNumberResponse(device_phone_number=NUMBER).SerializeToString()
    result = call(face, service.target, "device_phone_number", TOKEN)
    assert result.phone_number == NUMBER
    assert NUMBER not in f"{result} {result!r}"
    [received] = service.calls
    assert received.method == "/numberverification.v2.NumberVerificationService/GetDevicePhoneNumber"
    assert received.request == b""


@pytest.mark.parametrize(("method", "arguments"), METHODS)
def test_the_correlator_is_sent_and_returned(
    face: str, service: Service, method: str, arguments: tuple[str, ...]
) -> None:
    service.answer = pb.GetDevicePhoneNumberResponse(device_phone_number=NUMBER).SerializeToString()
    if method != "device_phone_number":
        service.answer = VERIFIED
    result = call(face, service.target, method, TOKEN, *arguments, correlator="abc-123")
    assert service.calls[0].values("x-correlator") == ["abc-123"]
    assert result.correlator == "abc-123"


@pytest.mark.parametrize("correlator", [None, ""])
def test_a_correlator_is_made_if_absent(face: str, service: Service, correlator: str | None) -> None:
    result = call(face, service.target, "verify", TOKEN, NUMBER, correlator=correlator)
    assert service.calls[0].values("x-correlator") == [result.correlator]
    assert uuid.UUID(result.correlator).version == 4


def test_a_servers_own_correlator_is_the_one_to_name(face: str, service: Service) -> None:
    service.initial_metadata = (("x-correlator", "fresh"),)
    assert call(face, service.target, "verify", TOKEN, NUMBER, correlator="mine").correlator == "fresh"
    service.answer = PlainStatus(Code.INTERNAL, trailing_metadata=(("x-correlator", "fresher"),))
    assert failed(face, service, correlator="mine").correlator == "fresher"
    service.answer = PlainStatus(Code.INTERNAL)
    assert failed(face, service, correlator="mine").correlator == "fresh"


def test_a_malformed_correlator_of_a_server_is_not_repeated(face: str, service: Service) -> None:
    service.answer = PlainStatus(Code.INTERNAL, trailing_metadata=(("x-correlator", "not ours (!)"),))
    error = failed(face, service, correlator="mine")
    assert error.correlator == "mine"
    assert "mine" in str(error)


@pytest.mark.parametrize(
    ("method", "arguments", "field"),
    [
        ("verify", (TOKEN, "0990123456789"), "phoneNumber"),
        ("verify", (TOKEN, NUMBER + "\n"), "phoneNumber"),
        ("verify", (TOKEN, "+٩٩٠١٢٣٤٥٦"), "phoneNumber"),
        ("verify_hashed", (TOKEN, "a" * 63), "hashedPhoneNumber"),
        ("verify_hashed", (TOKEN, "g" * 64), "hashedPhoneNumber"),
        ("verify_hashed", (TOKEN, "a" * 64 + "\n"), "hashedPhoneNumber"),
        ("device_phone_number", ("",), "access_token"),
        ("device_phone_number", ("two words",), "access_token"),
        ("device_phone_number", ("line\n",), "access_token"),
        ("device_phone_number", ("x" * 9000,), "access_token"),
    ],
)
def test_wrong_input_costs_no_token(
    face: str, service: Service, method: str, arguments: tuple[str, ...], field: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        call(face, service.target, method, *arguments)
    assert [violation.field for violation in caught.value.field_violations] == [field]
    assert not caught.value.token_may_be_used
    assert arguments[-1] == "" or arguments[-1] not in f"{caught.value!s} {caught.value!r}"
    assert service.calls == []


@pytest.mark.parametrize("correlator", ["a b", "a\n", "ü", "x" * 257])
def test_a_malformed_correlator_costs_no_token(face: str, service: Service, correlator: str) -> None:
    with pytest.raises(InvalidArgument):
        call(face, service.target, "verify", TOKEN, NUMBER, correlator=correlator)
    assert service.calls == []


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("192.0.2.1:50051", {"insecure": True}),
        ("api.operator.example:50051", {"insecure": True}),
        ("127.0.0.1.evil.example:50051", {"insecure": True}),
        ("localhost.evil.example", {"insecure": True}),
        ("dns:///localhost:50051", {"insecure": True}),
        ("127.0.0.1:1,192.0.2.1:1", {"insecure": True}),
        ("127.0.0.1:1", {"insecure": True, "credentials": grpc.ssl_channel_credentials()}),
        ("127.0.0.1:1", {"timeout": 0}),
        ("127.0.0.1:1", {"timeout": -1}),
        ("127.0.0.1:1", {"timeout": float("nan")}),
        ("127.0.0.1:1", {"timeout": float("inf")}),
    ],
)
def test_an_unsafe_client_is_not_made(face: str, target: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        call(face, target, "verify", TOKEN, NUMBER, options=options)


@pytest.mark.parametrize("target", ["127.1.0.1:1", "[::1]:1", "localhost:1", "unix:/nonexistent"])
def test_loopback_may_be_insecure(face: str, target: str) -> None:
    with pytest.raises(Unavailable):
        call(face, target, "verify", TOKEN, NUMBER)


@pytest.mark.parametrize("timeout", [0, float("nan")])
def test_a_call_without_deadline_is_not_made(face: str, service: Service, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        call(face, service.target, "verify", TOKEN, NUMBER, timeout=timeout)
    assert service.calls == []


def test_tls(face: str) -> None:
    ours, other = Authority(), Authority()
    service = Service()
    with running(service, ours.server_credentials("localhost")):
        trusting = {"credentials": grpc.ssl_channel_credentials(ours.pem), "timeout": 5.0}
        assert call(face, service.target, "verify", TOKEN, NUMBER, options=trusting)
        for options in (
            {"credentials": grpc.ssl_channel_credentials(other.pem), "timeout": 5.0},
            {"timeout": 5.0},  # the public CAs do not know ours, and plaintext is not fallen back to
        ):
            with pytest.raises(Unavailable) as caught:
                call(face, service.target, "verify", TOKEN, NUMBER, options=options)
            assert not caught.value.token_may_be_used
    assert len(service.calls) == 1


def test_one_client_serves_many_threads(service: Service) -> None:
    results: list[bool] = []
    with NumberVerificationClient(service.target, insecure=True) as client:
        threads = [
            threading.Thread(target=lambda: results.append(bool(client.verify(TOKEN, NUMBER)))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert results == [True] * 8


def test_many_calls_at_once_in_one_loop(service: Service) -> None:
    async def calling() -> list[bool]:
        async with AsyncNumberVerificationClient(service.target, insecure=True) as client:
            return [bool(result) for result in await asyncio.gather(*(client.verify(TOKEN, NUMBER) for _ in range(8)))]

    assert asyncio.run(calling()) == [True] * 8


def test_cancelling_a_task_is_no_error_of_the_service(service: Service) -> None:
    service.hold = True

    async def calling() -> None:
        async with AsyncNumberVerificationClient(service.target, insecure=True) as client:
            task = asyncio.create_task(client.verify(TOKEN, NUMBER))
            await asyncio.to_thread(service.arrived.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(calling())
