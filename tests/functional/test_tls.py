"""TLS and mutual TLS by configuration, and certificates that change while the service runs."""

import hashlib
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from functional.certificates import Authority
from functional.registered import CUSTOMER, customer, register
from number_verification.domain.onboarding.person import Person, PersonRole
from number_verification.gen.subscribersession.v1 import subscriber_session_pb2 as pb

SCRIPT = Path(sys.executable).parent / "number-verification"
DEADLINE = 30.0


class Served(NamedTuple):
    authority: Authority
    http: int
    grpc: int
    internal: int


def free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def toml(value: Any) -> str:
    """A value as TOML; inline tables throughout."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(item)}" for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("tls")
    authority = Authority(directory)
    certificate, key = authority.issue("service.example", "server")
    tls = {"certificate": str(certificate), "key": str(key)}
    http, grpc_port, internal = free_port(), free_port(), free_port()
    settings = {
        "data_dir": str(directory / "data"),
        "issuer": f"https://127.0.0.1:{http}",
        "http": {"listen": f"127.0.0.1:{http}", "tls": tls},
        "grpc": {"listen": f"127.0.0.1:{grpc_port}", "tls": tls},
        "internal": {
            "listen": f"127.0.0.1:{internal}",
            "tls": {**tls, "client_ca": str(authority.certificate), "require_client_certificate": True},
            "services": [
                {"name": "reader", "roles": ["session-read"], "certificate_names": ["reader.example"]},
                {"name": "other", "roles": ["session-read"], "token_sha256": hashlib.sha256(b"other").hexdigest()},
            ],
        },
        "admin": {"listen": f"127.0.0.1:{free_port()}"},
        "network": {"apns": ["internet"], "direct": [{"network": "127.0.0.0/8"}]},
        "store": {"session_megabytes": 16, "one_time_megabytes": 16},
    }
    config = directory / "config.toml"
    config.write_text("".join(f"{name} = {toml(value)}\n" for name, value in settings.items()))
    ada = Person(
        name=f"{CUSTOMER}/people/ada",
        display_name="Ada",
        roles=frozenset({PersonRole.ADMINISTRATOR}),
        client_id="ada",
        certificate_names=frozenset({"ada.example"}),
    )
    register(directory / "data", [*customer(), ada])
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([SCRIPT, "serve", "--config", config], stderr=log)
    try:
        until(lambda: '"started"' in (directory / "log").read_text(), "the service did not start")
        yield Served(authority, http, grpc_port, internal)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0


def until(condition: Any, failure: str) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, failure
        threading.Event().wait(0.05)


def presented(port: int, authority: Authority) -> bytes:
    """The certificate that a listener presents now."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def test_http_speaks_tls_only(served: Served) -> None:
    context = ssl.create_default_context(cafile=str(served.authority.certificate))
    connection = HTTPSConnection("127.0.0.1", served.http, context=context, timeout=5)
    connection.request("GET", "/.well-known/openid-configuration")
    assert json.loads(connection.getresponse().read())["issuer"] == f"https://127.0.0.1:{served.http}"
    connection.close()
    with socket.create_connection(("127.0.0.1", served.http), timeout=5) as plain:
        plain.sendall(b"GET /.well-known/openid-configuration HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not plain.recv(1024).startswith(b"HTTP/1.1 200")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_of_tls_are_refused(served: Served, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=str(served.authority.certificate))
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", served.http), timeout=5) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="127.0.0.1")


def resolve(served: Served, client: tuple[Path, Path] | None, token: str = "") -> grpc.StatusCode:
    root = served.authority.certificate.read_bytes()
    key, chain = (client[1].read_bytes(), client[0].read_bytes()) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(root, key, chain)
    metadata = [("authorization", f"Bearer {token}")] if token else []
    with grpc.secure_channel(f"127.0.0.1:{served.internal}", credentials) as channel:
        call = channel.unary_unary(
            "/subscribersession.v1.SubscriberSessionService/ResolveDevice",
            request_serializer=pb.ResolveDeviceRequest.SerializeToString,
            response_deserializer=pb.ResolveDeviceResponse.FromString,
        )
        try:
            assert (
                call(pb.ResolveDeviceRequest(address="127.3.3.3"), metadata=metadata, timeout=5).refusal_reason
                == "off_net"
            )
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def test_an_internal_service_is_known_by_its_certificate(served: Served) -> None:
    assert resolve(served, served.authority.issue("reader.example", "reader")) is grpc.StatusCode.OK


def test_another_certificate_of_the_same_authority_is_nobody(served: Served) -> None:
    assert resolve(served, served.authority.issue("other.example", "other")) is grpc.StatusCode.UNAUTHENTICATED


def test_a_person_is_known_by_their_certificate(served: Served) -> None:
    """Known, and without the role that this method asks for."""
    assert resolve(served, served.authority.issue("ada.example", "ada")) is grpc.StatusCode.PERMISSION_DENIED


def test_a_person_s_certificate_names_hide_no_service(served: Served) -> None:
    """Any customer's administrator could have claimed the name that a service's certificate has."""
    certificate = served.authority.issue("ada.example", "claimed")
    assert resolve(served, certificate, "other") is grpc.StatusCode.OK
    assert resolve(served, certificate, "nobody-s") is grpc.StatusCode.UNAUTHENTICATED


def test_without_a_certificate_there_is_no_connection(served: Served) -> None:
    assert resolve(served, None) is grpc.StatusCode.UNAVAILABLE


def test_certificates_are_read_again_when_they_change(served: Served) -> None:
    before = presented(served.http, served.authority)
    assert presented(served.grpc, served.authority) == before
    served.authority.issue("service.example", "server")

    def renewed() -> bool:
        try:
            now = {presented(port, served.authority) for port in (served.http, served.grpc) for _ in range(4)}
        except (OSError, ssl.SSLError):
            return False
        return len(now) == 1 and now != {before}

    until(renewed, "the new certificate was not taken into service")
