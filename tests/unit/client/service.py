"""A small real server of the API, which answers as a test wants, and both faces of the client to call it."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from number_verification_client import AsyncNumberVerificationClient, NumberVerificationClient, NumberVerificationError
from number_verification_client.gen.numberverification.v2 import number_verification_pb2 as pb

TOKEN = "test-token"
NUMBER = "+990123456789"
VERIFIED = pb.VerifyPhoneNumberResponse(device_phone_number_verified=True).SerializeToString()
FACES = ["sync", "async"]


class Received(NamedTuple):
    method: str
    request: bytes
    metadata: tuple[tuple[str, str | bytes], ...]
    time_left: float
    """Seconds to the deadline, as the server saw it."""

    def values(self, key: str) -> list[str | bytes]:
        return [value for name, value in self.metadata if name == key]


class PlainStatus(NamedTuple):
    """A status of gRPC alone, without `google.rpc.Status`."""

    code: grpc.StatusCode
    details: str = "no details"
    trailing_metadata: tuple[tuple[str, str | bytes], ...] = ()


class Service(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Answers every method with `answer`; or holds calls, once `hold` is set, until `release` is."""

    def __init__(self) -> None:
        self.answer: bytes | grpc.Status | PlainStatus = VERIFIED
        self.initial_metadata: tuple[tuple[str, str], ...] = ()
        self.hold = False
        self.release = threading.Event()
        self.arrived = threading.Event()
        self.calls: list[Received] = []
        self.target = ""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._serve(handler_call_details.method, request, context)
        )

    def _serve(self, method: str, request: bytes, context: Any) -> bytes:
        self.calls.append(Received(method, request, tuple(context.invocation_metadata()), context.time_remaining()))
        self.arrived.set()
        if self.hold:
            self.release.wait(10)
        context.send_initial_metadata(self.initial_metadata)
        if isinstance(self.answer, bytes):
            return self.answer
        context.abort_with_status(self.answer)
        raise AssertionError


def rich(code: grpc.StatusCode, *details: Message, message: str = "for people") -> status_pb2.Status:
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def status(code: grpc.StatusCode, *details: Message, message: str = "for people") -> grpc.Status:
    return rpc_status.to_status(rich(code, *details, message=message))


def info(reason: str, domain: str = "number-verification") -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain=domain)


def retry_info(seconds: int, nanos: int = 0) -> error_details_pb2.RetryInfo:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.seconds = seconds
    retry.retry_delay.nanos = nanos
    return retry


@contextlib.contextmanager
def running(service: Service, credentials: grpc.ServerCredentials | None = None) -> Iterator[grpc.Server]:
    """The service on a free port of the loopback."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((service,))
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        service.target = f"localhost:{port}" if credentials else f"127.0.0.1:{port}"
        server.start()
        try:
            yield server
        finally:
            service.release.set()
            server.stop(0).wait(5)


def call(
    face: str, target: str, method: str, *arguments: Any, options: dict[str, Any] | None = None, **more: Any
) -> Any:
    """One call through one face of the client, opened and closed around it."""
    options = {"insecure": True, "timeout": 5.0} if options is None else options
    if face == "sync":
        with NumberVerificationClient(target, **options) as client:
            return getattr(client, method)(*arguments, **more)

    async def calling() -> Any:
        async with AsyncNumberVerificationClient(target, **options) as client:
            return await getattr(client, method)(*arguments, **more)

    return asyncio.run(calling())


def failed(face: str, service: Service, **more: Any) -> NumberVerificationError:
    with pytest.raises(NumberVerificationError) as caught:
        call(face, service.target, "verify", TOKEN, NUMBER, **more)
    return caught.value
