"""buf walks the API by reflection and calls it."""

import base64
import json
import subprocess

import pytest
from google.rpc import error_details_pb2

from functional.service import Service
from interop.programs import BIN, run

pytestmark = pytest.mark.interop

SERVICE = "numberverification.v2.NumberVerificationService"
EXIT_UNAUTHENTICATED, EXIT_INVALID_ARGUMENT = 16 << 3, 3 << 3
"""buf exits with the gRPC status, shifted by three bits."""

PROTOCOLS = {
    "grpc": ["--protocol", "grpc"],
    "grpc, HTTP/2 by prior knowledge": ["--protocol", "grpc", "--http2-prior-knowledge"],
}


def buf_curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(BIN / "buf", "curl", "--reflect-protocol", "grpc-v1", *arguments)


def details_of(done: subprocess.CompletedProcess[str]) -> dict[str, bytes]:
    """The details of an error, still encoded, by type."""
    padded = {detail["type"]: detail["value"] + "==" for detail in json.loads(done.stderr)["details"]}
    return {name: base64.b64decode(value) for name, value in padded.items()}


@pytest.fixture(params=list(PROTOCOLS.values()), ids=list(PROTOCOLS))
def protocol(request: pytest.FixtureRequest) -> list[str]:
    flags: list[str] = request.param
    return flags


@pytest.mark.parametrize("reflection", ["grpc-v1", "grpc-v1alpha"])
def test_the_services_are_listed(sandbox: Service, reflection: str) -> None:
    root = f"http://{sandbox.description['grpc']}"
    listed = run(BIN / "buf", "curl", "--protocol", "grpc", "--reflect-protocol", reflection, "--list-services", root)
    assert listed.returncode == 0, listed.stderr
    services = listed.stdout.split()
    assert {SERVICE, "grpc.health.v1.Health"} <= set(services)
    # The operator's own service is for another listener.
    assert not [name for name in services if name.startswith("subscribersession.")]


def test_the_methods_are_listed(sandbox: Service, protocol: list[str]) -> None:
    listed = buf_curl(*protocol, "--list-methods", f"http://{sandbox.description['grpc']}")
    assert listed.returncode == 0, listed.stderr
    ours = {method for method in listed.stdout.split() if method.startswith(SERVICE)}
    assert ours == {f"{SERVICE}/VerifyPhoneNumber", f"{SERVICE}/GetDevicePhoneNumber"}


def test_health(sandbox: Service, protocol: list[str]) -> None:
    url = f"http://{sandbox.description['grpc']}/grpc.health.v1.Health/Check"
    answer = buf_curl(*protocol, "--data", json.dumps({"service": SERVICE}), url)
    assert json.loads(answer.stdout) == {"status": "SERVING"}


class TestCalls:
    """One token, one call."""

    @pytest.fixture
    def call(self, sandbox: Service, protocol: list[str]) -> list[str]:
        token = sandbox.partner.token_for("phone-1")
        return [
            *protocol,
            "--header",
            f"authorization: Bearer {token}",
            f"http://{sandbox.description['grpc']}/{SERVICE}/VerifyPhoneNumber",
        ]

    def test_a_number_is_verified_once(self, sandbox: Service, call: list[str]) -> None:
        data = json.dumps({"phoneNumber": sandbox.partner.phone_number_of("phone-1")})
        first, second = (buf_curl("--data", data, *call) for _ in range(2))
        assert first.returncode == 0, first.stderr
        assert json.loads(first.stdout) == {"devicePhoneNumberVerified": True}
        assert second.returncode == EXIT_UNAUTHENTICATED
        assert json.loads(second.stderr)["code"] == "unauthenticated"
        info = error_details_pb2.ErrorInfo.FromString(details_of(second)["google.rpc.ErrorInfo"])
        assert (info.domain, info.reason) == ("number-verification", "UNAUTHENTICATED")

    def test_what_is_wrong_with_a_request_is_named(self, call: list[str]) -> None:
        answer = buf_curl("--data", '{"phoneNumber": "990100000001"}', *call)
        assert answer.returncode == EXIT_INVALID_ARGUMENT
        bad = error_details_pb2.BadRequest.FromString(details_of(answer)["google.rpc.BadRequest"])
        assert [violation.field for violation in bad.field_violations] == ["phoneNumber"]
