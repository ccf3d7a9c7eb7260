"""Mutual TLS: a service is known by the names in its certificate, by REST as by gRPC."""

import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from functional.certificates import Authority
from number_verification.internal_http.tls import auth_context
from number_verification.listener_settings import TlsSettings
from unit.internal_http.serving import BEARER, ROOT, Listener, everything, listening


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def tls(authority: Authority, *, required: bool) -> TlsSettings:
    certificate, key = authority.issue("service.example", "server")
    return TlsSettings(
        certificate=certificate, key=key, client_ca=authority.certificate, require_client_certificate=required
    )


@pytest.fixture(scope="module")
def listener(authority: Authority) -> Iterator[Listener]:
    with listening(tls=tls(authority, required=False)) as started:
        yield started


def client(authority: Authority, pair: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.certificate))
    if pair is not None:
        context.load_cert_chain(*pair)
    return context


def test_a_service_is_known_by_its_certificate(listener: Listener, authority: Authority) -> None:
    context = client(authority, authority.issue("core.example", "core"))
    for _ in range(2):  # a second connection would resume the session of the first, if there were sessions
        response, content = listener.ask("GET", f"{ROOT}/acme", headers={}, context=context)
        assert (response.status, content["name"]) == (200, "organizations/acme")


def test_another_name_is_nobody(listener: Listener, authority: Authority) -> None:
    context = client(authority, authority.issue("other.example", "other"))
    assert listener.ask("GET", f"{ROOT}/acme", headers={}, context=context)[0].status == 401


def test_without_a_certificate_a_token_serves(listener: Listener, authority: Authority) -> None:
    assert listener.ask("GET", f"{ROOT}/acme", headers={}, context=client(authority))[0].status == 401
    assert listener.ask("GET", f"{ROOT}/acme", headers=BEARER, context=client(authority))[0].status == 200


def test_the_certificate_of_another_authority_gets_no_connection(
    listener: Listener, authority: Authority, tmp_path: Path
) -> None:
    context = client(authority, Authority(tmp_path).issue("core.example", "core"))
    with pytest.raises(OSError):  # noqa: PT011 - an alert of TLS, or a reset, by whichever comes first
        listener.ask("GET", f"{ROOT}/acme", headers={}, context=context)


def test_where_a_certificate_is_required(authority: Authority) -> None:
    with listening(tls=tls(authority, required=True)) as listener:
        with pytest.raises(OSError):  # noqa: PT011
            listener.ask("GET", f"{ROOT}/acme", headers=BEARER, context=client(authority))
        context = client(authority, authority.issue("core.example", "core"))
        assert listener.ask("GET", f"{ROOT}/acme", headers={}, context=context)[0].status == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(listener: Listener, authority: Authority, version: ssl.TLSVersion) -> None:
    context = client(authority)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(OSError):  # noqa: PT011
        listener.ask("GET", f"{ROOT}/acme", context=context)


def test_plain_http_is_not_answered(listener: Listener) -> None:
    assert b"HTTP/1.1 2" not in listener.send(f"GET {ROOT}/acme HTTP/1.1\r\n\r\n".encode())


def test_handshakes_that_do_not_come_to_an_end_hold_nobody_up(authority: Authority) -> None:
    with listening(threads=2, patience=0.3, tls=tls(authority, required=False)) as listener, ExitStack() as stack:
        address = (listener.address.host, listener.address.port)
        silent = [stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(20)]
        assert listener.ask("GET", f"{ROOT}/acme", context=client(authority))[0].status == 200
        # The first bytes of a handshake, and no more.
        for raw in silent:
            raw.sendall(b"\x16\x03\x01")
        assert {everything(raw) for raw in silent} == {b""}
        assert listener.ask("GET", f"{ROOT}/acme", context=client(authority))[0].status == 200


def test_the_names_are_those_that_grpc_gives(authority: Authority) -> None:
    certificate, key = authority.issue("core.example", "core", address="2001:db8::1")
    ours = auth_context(ssl.PEM_cert_to_DER_cert(certificate.read_text()))
    assert _by_grpc(authority, certificate, key) == {name: sorted(values) for name, values in ours.items()}
    assert ours["x509_common_name"] == [b"core.example"]
    assert set(ours["x509_subject_alternative_name"]) == {b"core.example", b"2001:db8::1"}


def _by_grpc(authority: Authority, certificate: Path, key: Path) -> dict[str, list[bytes]]:
    """What a gRPC server says of a client with this certificate."""
    seen: dict[str, list[bytes]] = {}

    def behaviour(request: bytes, context: grpc.ServicerContext) -> bytes:
        for name, values in context.auth_context().items():
            if name in ("x509_common_name", "x509_subject_alternative_name"):
                seen[name] = sorted(values)
        return request

    own_certificate, own_key = authority.issue("service.example", "grpc")
    root = authority.certificate.read_bytes()
    with grpc_server(
        behaviour, grpc.ssl_server_credentials([(own_key.read_bytes(), own_certificate.read_bytes())], root, True)
    ) as port:
        credentials = grpc.ssl_channel_credentials(root, key.read_bytes(), certificate.read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials) as channel:
            channel.unary_unary("/s/M")(b"", timeout=10)
    return seen


@contextmanager
def grpc_server(behaviour: Callable[[bytes, grpc.ServicerContext], bytes], credentials: Any) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(1))
    handlers = {"M": grpc.unary_unary_rpc_method_handler(behaviour)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("s", handlers),))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(None)


@pytest.mark.parametrize("certificate", [None, b"", b"no certificate"])
def test_what_is_no_certificate_names_nobody(certificate: bytes | None) -> None:
    assert auth_context(certificate) == {}
