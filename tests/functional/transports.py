"""gRPC and REST behind one face, so that one test asks both."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from http.client import HTTPConnection
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import grpc
from functional.sandbox import Sandbox
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb

SERVICE = "/numberverification.v2.NumberVerificationService"
Headers = Sequence[tuple[str, str]]

REST_CODES = {
    ("PERMISSION_DENIED", "USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK"): (
        "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK"
    ),
}


class Outcome(NamedTuple):
    """What came back, in the words of REST."""

    code: str
    """`OK`, or the error code of the contract."""
    body: dict[str, Any]
    correlator: str
    headers: dict[str, str]


class Transport(ABC):
    """One way to call the API."""

    name: str

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    @abstractmethod
    def verify(self, token: str | None, headers: Headers = (), **request: str) -> Outcome:
        """VerifyPhoneNumber with `phoneNumber` or `hashedPhoneNumber`."""

    @abstractmethod
    def share(self, token: str | None, headers: Headers = ()) -> Outcome:
        """GetDevicePhoneNumber."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""


def bearer(token: str | None, headers: Headers) -> list[tuple[str, str]]:
    return [*([("authorization", f"Bearer {token}")] if token is not None else []), *headers]


class Grpc(Transport):
    name = "grpc"

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self.channel = grpc.insecure_channel(sandbox.description["grpc"])

    def verify(self, token: str | None, headers: Headers = (), **request: str) -> Outcome:
        fields = {"phoneNumber": "phone_number", "hashedPhoneNumber": "hashed_phone_number"}
        message = pb.VerifyPhoneNumberRequest(**{fields[name]: value for name, value in request.items()})
        return self.call("VerifyPhoneNumber", message.SerializeToString(), pb.VerifyPhoneNumberResponse, token, headers)

    def share(self, token: str | None, headers: Headers = ()) -> Outcome:
        return self.call("GetDevicePhoneNumber", b"", pb.GetDevicePhoneNumberResponse, token, headers)

    def call(
        self, method: str, request: bytes, response_class: Any, token: str | None, headers: Headers = ()
    ) -> Outcome:
        stub = self.channel.unary_unary(f"{SERVICE}/{method}", None, response_class.FromString)
        try:
            response, call = stub.with_call(request, metadata=bearer(token, headers), timeout=10)
        except grpc.RpcError as error:
            return _grpc_error(error)
        body = MessageToDict(response, always_print_fields_with_no_presence=True)
        return Outcome("OK", body, _correlator(call.initial_metadata()), {})

    def close(self) -> None:
        self.channel.close()


def _grpc_error(error: Any) -> Outcome:
    status = rpc_status.from_call(error)
    initial, trailing = _correlator(error.initial_metadata()), _correlator(error.trailing_metadata())
    if status is None:
        return Outcome(error.code().name, {"message": error.details()}, initial, {})
    assert initial == trailing
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "number-verification"
    code = REST_CODES.get((error.code().name, info.reason), info.reason)
    if code == "INVALID_ARGUMENT":
        assert any(detail.Is(error_details_pb2.BadRequest.DESCRIPTOR) for detail in status.details)
    return Outcome(code, {"message": status.message}, trailing, dict(info.metadata))


def _correlator(metadata: Any) -> str:
    return next((value for key, value in metadata or () if key == "x-correlator"), "")


class Rest(Transport):
    name = "rest"

    def __init__(self, sandbox: Sandbox, source: str = "127.0.0.1") -> None:
        super().__init__(sandbox)
        self.root = sandbox.description["api_root"]
        self.source = source

    def verify(self, token: str | None, headers: Headers = (), **request: str) -> Outcome:
        return self.call("POST", "/verify", token, headers, json.dumps(request).encode())

    def share(self, token: str | None, headers: Headers = ()) -> Outcome:
        return self.call("GET", "/device-phone-number", token, headers)

    def call(
        self,
        method: str,
        path: str,
        token: str | None,
        headers: Headers = (),
        body: bytes | None = None,
        content_type: str | None = "application/json",
    ) -> Outcome:
        status, found, content = self.request(
            method,
            f"/number-verification/v2{path}",
            [*bearer(token, headers), *([("content-type", content_type)] if body is not None and content_type else [])],
            body,
        )
        if status == 200:
            return Outcome("OK", content, found["x-correlator"], found)
        assert found["content-type"] == "application/json"
        assert content["status"] == status
        assert 0 < len(content["message"]) <= 512
        assert set(content) == {"status", "code", "message"}
        return Outcome(content["code"], content, found["x-correlator"], found)

    def request(
        self, method: str, target: str, headers: Headers, body: bytes | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """One request with headers as they are given, repeated ones repeated."""
        url = urlsplit(self.root)
        connection = HTTPConnection(url.hostname or "", url.port, timeout=10, source_address=(self.source, 0))
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        is_json = found.get("content-type", "").startswith("application/json")
        return response.status, found, json.loads(content) if content and is_json else content
