"""gRPC and REST behind one face, so that one test asks both."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import grpc
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from functional.service import HttpAnswer, Service, request
from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb

SERVICE = "/numberverification.v2.NumberVerificationService"
BASE = "/number-verification/v2"
MOBILE_403 = "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK"
Headers = Sequence[tuple[str, str]]

STATUSES = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    MOBILE_403: 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "TOO_MANY_REQUESTS": 429,
    "UNAVAILABLE": 503,
}
"""The REST codes of the contract and their HTTP statuses."""

REASONS = {
    MOBILE_403: ("PERMISSION_DENIED", "USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK"),
    "TOO_MANY_REQUESTS": ("RESOURCE_EXHAUSTED", "TOO_MANY_REQUESTS"),
}
"""REST codes whose gRPC status and ErrorInfo.reason are not their own name."""


class Outcome(NamedTuple):
    """What came back, in the words of REST."""

    code: str
    """`OK`, or the error code of the contract."""
    body: dict[str, Any]
    correlator: str
    retry_after: str = ""


class Transport(ABC):
    """One way to call the API."""

    name: str

    @abstractmethod
    def verify(self, token: str | None, headers: Headers = (), **fields: str) -> Outcome:
        """VerifyPhoneNumber with `phoneNumber` or `hashedPhoneNumber`."""

    @abstractmethod
    def verify_malformed(self, token: str | None, headers: Headers = ()) -> Outcome:
        """VerifyPhoneNumber with bytes that cannot be decoded."""

    @abstractmethod
    def share(self, token: str | None, headers: Headers = ()) -> Outcome:
        """GetDevicePhoneNumber."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - REST has nothing to close
        """Close what is open."""


def bearer(token: str | None, headers: Headers = ()) -> list[tuple[str, str]]:
    return [*([("authorization", f"Bearer {token}")] if token is not None else []), *headers]


class Grpc(Transport):
    name = "grpc"

    def __init__(self, service: Service) -> None:
        # A connection of its own: channels to the same address would share one.
        self.channel = grpc.insecure_channel(service.description["grpc"], [("grpc.use_local_subchannel_pool", 1)])

    def verify(self, token: str | None, headers: Headers = (), **fields: str) -> Outcome:
        names = {"phoneNumber": "phone_number", "hashedPhoneNumber": "hashed_phone_number"}
        message = pb.VerifyPhoneNumberRequest(**{names[name]: value for name, value in fields.items()})
        return self.call("VerifyPhoneNumber", message.SerializeToString(), pb.VerifyPhoneNumberResponse, token, headers)

    def verify_malformed(self, token: str | None, headers: Headers = ()) -> Outcome:
        return self.call("VerifyPhoneNumber", b"\x0a\x7f", pb.VerifyPhoneNumberResponse, token, headers)

    def share(self, token: str | None, headers: Headers = ()) -> Outcome:
        return self.call("GetDevicePhoneNumber", b"", pb.GetDevicePhoneNumberResponse, token, headers)

    def call(
        self, method: str, message: bytes, response_class: Any, token: str | None, headers: Headers = ()
    ) -> Outcome:
        stub = self.channel.unary_unary(f"{SERVICE}/{method}", None, response_class.FromString)
        try:
            response, call = stub.with_call(message, metadata=tuple(bearer(token, headers)), timeout=10)
        except grpc.RpcError as error:
            return grpc_refusal(error)
        body = MessageToDict(response, always_print_fields_with_no_presence=True)
        return Outcome("OK", body, _correlator(call.initial_metadata()))

    def close(self) -> None:
        self.channel.close()


def grpc_refusal(error: Any) -> Outcome:
    """An error, held to what the contract says of every error."""
    status = rpc_status.from_call(error)
    if status is None:
        return Outcome(error.code().name, {"message": error.details()}, "")
    initial, trailing = _correlator(error.initial_metadata()), _correlator(error.trailing_metadata())
    assert initial == trailing != ""
    assert 0 < len(status.message) <= 512
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "number-verification"
    pair = (error.code().name, info.reason)
    code = next((code for code, known in REASONS.items() if known == pair), info.reason)
    assert pair == REASONS.get(code, (code, code))
    violations = any(detail.Is(error_details_pb2.BadRequest.DESCRIPTOR) for detail in status.details)
    assert violations == (code == "INVALID_ARGUMENT")
    return Outcome(code, {"message": status.message}, trailing, info.metadata.get("retry_after", ""))


def _correlator(metadata: Any) -> str:
    return next((value for key, value in metadata or () if key == "x-correlator"), "")


class Rest(Transport):
    name = "rest"

    def __init__(self, service: Service, source: str = "127.0.0.1") -> None:
        self.root = service.description["api_root"]
        self.source = source

    def verify(self, token: str | None, headers: Headers = (), **fields: str) -> Outcome:
        return self.post_verify(token, json.dumps(fields).encode(), headers)

    def verify_malformed(self, token: str | None, headers: Headers = ()) -> Outcome:
        return self.post_verify(token, b'{"phoneNumber"', headers)

    def share(self, token: str | None, headers: Headers = ()) -> Outcome:
        return rest_outcome(self.request("GET", "/device-phone-number", bearer(token, headers)))

    def post_verify(
        self, token: str | None, body: bytes, headers: Headers = (), content_type: str | None = "application/json"
    ) -> Outcome:
        return rest_outcome(self.post("/verify", token, body, headers, content_type))

    def post(
        self,
        path: str,
        token: str | None,
        body: bytes | None,
        headers: Headers = (),
        content_type: str | None = "application/json",
    ) -> HttpAnswer:
        media_type = [("content-type", content_type)] if content_type else []
        return self.request("POST", path, [*bearer(token, headers), *media_type], body)

    def request(self, method: str, path: str, headers: Headers = (), body: bytes | None = None) -> HttpAnswer:
        return request(self.root, method, BASE + path, list(headers), body, self.source)


def rest_outcome(answer: HttpAnswer) -> Outcome:
    """An answer, held to what the contract says of every answer."""
    correlator = answer.headers["x-correlator"]
    if answer.status == 200:
        return Outcome("OK", answer.json, correlator)
    content = answer.json
    assert set(content) == {"status", "code", "message"}
    assert content["status"] == answer.status == STATUSES[content["code"]]
    assert 0 < len(content["message"]) <= 512
    assert ("www-authenticate" in answer.headers) == (answer.status == 401)
    assert ("retry-after" in answer.headers) == (answer.status in (429, 503))
    return Outcome(content["code"], content, correlator, answer.headers.get("retry-after", ""))
