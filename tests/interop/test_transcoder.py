"""Our REST and Envoy's gRPC-JSON transcoder, made from the same contract, give the same answers."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import google.api
import pytest
from google.protobuf.json_format import Parse
from google.rpc import error_details_pb2, status_pb2

from functional.service import HttpAnswer, Service, request
from interop.programs import BIN, LOOPBACK, ROOT, envoy, free_port, run, running

pytestmark = pytest.mark.interop

BASE = "/number-verification/v2"
EXAMPLE = Path(__file__).parent / "envoy-transcoder.yaml"


@pytest.fixture(scope="module")
def descriptor_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The contract as protoc sees it, with all that it imports."""
    target = tmp_path_factory.mktemp("descriptors") / "contract.binpb"
    googles = Path(next(iter(google.api.__path__))).parents[1]
    done = run(
        BIN / "python-grpc-tools-protoc",
        f"--proto_path={ROOT / 'protos'}",
        f"--proto_path={googles}",
        "--include_imports",
        f"--descriptor_set_out={target}",
        "numberverification/v2/number_verification.proto",
        # Without it Envoy cannot write errors as JSON.
        "google/rpc/error_details.proto",
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def transcoder(sandbox: Service, descriptor_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("transcoder")
    host, _, grpc_port = sandbox.description["grpc"].rpartition(":")
    port = free_port()
    variables = {
        "LISTEN_IPV4": LOOPBACK,
        "LISTEN_PORT": str(port),
        "SERVICE_ADDRESS": host,
        "SERVICE_PORT": grpc_port,
        "DESCRIPTOR_SET": str(descriptor_set),
    }
    root = f"http://{LOOPBACK}:{port}"
    with running(envoy(EXAMPLE, directory, variables), directory / "log", f"{root}{BASE}/device-phone-number"):
        yield root


def call(root: str, method: str, path: str, token: str, body: object) -> HttpAnswer:
    sent = {"x-correlator": "interop-transcoder"}
    if token:
        sent["authorization"] = f"Bearer {token}"
    if body is not None:
        sent["content-type"] = "application/json"
    return request(root, method, BASE + path, list(sent.items()), None if body is None else json.dumps(body).encode())


NUMBER = "+990100000001"
HASH = hashlib.sha256(NUMBER.encode()).hexdigest()


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/verify", {"phoneNumber": NUMBER}),
        ("POST", "/verify", {"phoneNumber": "+990100000002"}),
        ("POST", "/verify", {"hashedPhoneNumber": HASH}),
        ("GET", "/device-phone-number", None),
        ("POST", "/device-phone-number", {}),
    ],
)
def test_the_same_answer(sandbox: Service, transcoder: str, method: str, path: str, body: object) -> None:
    assert sandbox.partner.phone_number_of("phone-1") == NUMBER
    ours, theirs = (
        call(root, method, path, sandbox.partner.token_for("phone-1"), body)
        for root in (sandbox.description["api_root"], transcoder)
    )
    assert (ours.status, ours.json) == (theirs.status, theirs.json)
    assert ours.status == 200
    assert ours.headers["x-correlator"] == theirs.headers["x-correlator"] == "interop-transcoder"


@pytest.mark.parametrize(
    ("path", "body", "amr", "status"),
    [
        ("/verify", {"phoneNumber": "990100000001"}, ["nba"], 400),
        ("/verify", {}, ["nba"], 400),
        ("/verify", {"hashedPhoneNumber": "00"}, ["nba"], 400),
        ("/verify", {"phoneNumber": NUMBER}, ["sms"], 403),
        ("/verify", {"phoneNumber": NUMBER}, None, 401),
        ("/device-phone-number", {}, None, 401),
    ],
)
def test_the_same_refusal(
    sandbox: Service, transcoder: str, path: str, body: object, amr: list[str] | None, status: int
) -> None:
    tokens = (sandbox.external_token(amr=amr) if amr else "" for _ in range(2))
    ours, theirs = (
        call(root, "POST", path, token, body)
        for root, token in zip((sandbox.description["api_root"], transcoder), tokens, strict=True)
    )
    assert ours.status == theirs.status == status
    # Envoy has nothing but the gRPC status to answer with.
    theirs_status = Parse(theirs.body, status_pb2.Status())
    info = error_details_pb2.ErrorInfo()
    assert theirs_status.details[0].Unpack(info)
    assert ours.json["code"].removeprefix("NUMBER_VERIFICATION.") == info.reason
    assert ours.json["message"] == theirs_status.message


# Properties that are not in the contract are no case: Envoy skips them, CAMARA wants them refused.
@pytest.mark.parametrize("body", [{"phoneNumber": NUMBER, "hashedPhoneNumber": HASH}, [], "text"])
def test_neither_takes_what_is_not_in_the_contract(sandbox: Service, transcoder: str, body: object) -> None:
    for root in (sandbox.description["api_root"], transcoder):
        answer = call(root, "POST", "/verify", sandbox.partner.token_for("phone-1"), body)
        assert answer.status == 400, root


def test_neither_knows_another_path(sandbox: Service, transcoder: str) -> None:
    for root in (sandbox.description["api_root"], transcoder):
        assert call(root, "GET", "/verify-nothing", "", None).status == 404, root
