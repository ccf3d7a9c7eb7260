"""What a gRPC client finds beside the two methods: health, reflection, and what is not there."""

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from functional.service import Service
from functional.transports import SERVICE, Grpc, Rest, bearer, grpc_refusal
from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb

INTERNAL = "/subscribersession.v1.SubscriberSessionService"
NAME = "numberverification.v2.NumberVerificationService"


@pytest.mark.parametrize(
    "method",
    [
        f"{SERVICE}/Nothing",
        f"{SERVICE}/",
        "/numberverification.v1.NumberVerificationService/VerifyPhoneNumber",
        "/verifyPhoneNumber",
        f"{INTERNAL}/ListSessions",
        f"{INTERNAL}/OpenSession",
        f"{INTERNAL}/GetSession",
    ],
)
def test_a_method_that_is_not_served(sandbox: Service, grpc_api: Grpc, method: str) -> None:
    """Internal methods have a listener of their own and do not exist on the public one."""
    for token in (None, sandbox.external_token()):
        with pytest.raises(grpc.RpcError) as refused:
            grpc_api.channel.unary_unary(method, None, None)(b"", metadata=tuple(bearer(token)), timeout=10)
        outcome = grpc_refusal(refused.value)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert method not in outcome.body["message"]
        assert outcome.correlator


def test_an_unknown_method_costs_no_token(sandbox: Service, grpc_api: Grpc) -> None:
    token = sandbox.external_token()
    with pytest.raises(grpc.RpcError):
        grpc_api.channel.unary_unary(f"{SERVICE}/Nothing", None, None)(b"", metadata=tuple(bearer(token)), timeout=10)
    assert grpc_api.share(token).code == "OK"


def test_internal_methods_are_not_served_by_http(rest: Rest) -> None:
    for path in (f"{INTERNAL}/ListSessions", "/sessions", "/number-verification/v2/sessions"):
        assert rest.request("POST", path).status == 404


def test_health(grpc_api: Grpc) -> None:
    health = health_pb2_grpc.HealthStub(grpc_api.channel)
    for name in ("", NAME, "grpc.health.v1.Health"):
        answer = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as unknown:
        health.Check(health_pb2.HealthCheckRequest(service="nothing"), timeout=10)
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


def test_watching_health_holds_no_thread(sandbox: Service, grpc_api: Grpc) -> None:
    """There are eight threads; in a synchronous server every open stream would hold one."""
    health = health_pb2_grpc.HealthStub(grpc_api.channel)
    watches = [health.Watch(health_pb2.HealthCheckRequest(service=NAME), timeout=30) for _ in range(20)]
    for watch in watches:
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    assert grpc_api.share(sandbox.external_token()).code == "OK"
    for watch in watches:
        watch.cancel()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection(grpc_api: Grpc, version: str) -> None:
    call = grpc_api.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=NAME),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="nothing"),
    ]
    services, file, nothing = call(iter(asked), timeout=10)
    names = {service.name for service in services.list_services_response.service}
    assert {NAME, "grpc.health.v1.Health"} <= names
    assert not any(name.startswith("subscribersession") for name in names)
    described = FileDescriptorProto.FromString(file.file_descriptor_response.file_descriptor_proto[0])
    assert [method.name for method in described.service[0].method] == ["VerifyPhoneNumber", "GetDevicePhoneNumber"]
    assert nothing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def test_many_calls_on_one_connection(sandbox: Service, grpc_api: Grpc) -> None:
    call = grpc_api.channel.unary_unary(f"{SERVICE}/GetDevicePhoneNumber", None, None)
    futures = [call.future(b"", metadata=tuple(bearer(sandbox.external_token())), timeout=20) for _ in range(60)]
    assert all(future.result() for future in futures)


def test_unknown_fields_are_of_a_newer_contract(sandbox: Service, grpc_api: Grpc) -> None:
    """Unlike JSON, whose undeclared properties are refused: this is how protobuf contracts grow."""
    message = pb.VerifyPhoneNumberRequest(phone_number="+990555000001").SerializeToString() + b"\x9a\x06\x01x"
    outcome = grpc_api.call("VerifyPhoneNumber", message, pb.VerifyPhoneNumberResponse, sandbox.external_token())
    assert outcome.body == {"devicePhoneNumberVerified": True}


def test_both_forms_of_the_number_cannot_be_sent(sandbox: Service, grpc_api: Grpc) -> None:
    """In a oneof the last one on the wire counts (protobuf encoding guide), so that only one is ever compared."""
    first = pb.VerifyPhoneNumberRequest(hashed_phone_number="0" * 64).SerializeToString()
    last = pb.VerifyPhoneNumberRequest(phone_number="+990555000001").SerializeToString()
    outcome = grpc_api.call("VerifyPhoneNumber", first + last, pb.VerifyPhoneNumberResponse, sandbox.external_token())
    assert outcome.body == {"devicePhoneNumberVerified": True}
