"""The listener over real sockets, with the golden internal API behind the real interceptors."""

import hashlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any, NamedTuple

from golden.contracts import REGISTRY
from number_verification.domain.audit import AuditRecord
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.interceptors import chain, compose
from number_verification.interceptors.origin import OriginCheck
from number_verification.interceptors.token import InternalService
from number_verification.internal_http.server import InternalHttpServer
from number_verification.listener_settings import InternalSettings, ListenAddress, TlsSettings
from number_verification.listening import reserve
from number_verification.origin.attestation import TrustedEdges
from number_verification.rest.api import RestApi
from number_verification.rest.application import HttpApplication
from number_verification.rest.transcoding import Transcoder

TOKEN = "a-service-token-of-the-tests"
ROOT = "/registry/v1/organizations"
BODY_TO_COME = (
    f"PATCH {ROOT}/a HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
    f"Authorization: Bearer {TOKEN}\r\n\r\n{{"
).encode()
"""A good request of which the rest does not come."""

BEARER = {"Authorization": f"Bearer {TOKEN}"}


class Registry:
    """Serves the methods that the tests call, and may be held up."""

    def __init__(self) -> None:
        self.reached = threading.Semaphore(0)
        """Released by each call that is held up."""
        self.may_go = threading.Event()
        self.records: list[AuditRecord] = []

    def record(self, record: AuditRecord, phone_number: str = "") -> None:
        self.records.append(record)

    def get(self, request: Any, _: object) -> Any:
        if request.name == "organizations/held-up":
            self.reached.release()
            self.may_go.wait()
        if request.name == "organizations/none":
            raise Refusal(Kind.NOT_FOUND, Reason.INPUT_MALFORMED)
        return REGISTRY.message("GetOrganizationResponse", organization={"name": request.name})

    def update(self, request: Any, _: object) -> Any:
        if request.organization.etag == "stale":
            raise Refusal(Kind.ABORTED, Reason.INPUT_MALFORMED)
        changed = REGISTRY.message("UpdateOrganizationResponse", organization={"name": request.organization.name})
        for path in request.update_mask.paths:
            setattr(changed.organization, path, getattr(request.organization, path))
        return changed

    def suspend(self, request: Any, _: object) -> Any:
        violation = Violation("", "the organization is suspended already")
        raise Refusal(Kind.FAILED_PRECONDITION, Reason.INPUT_MALFORMED, violations=[violation])

    def create(self, request: Any, _: object) -> Any:
        raise Refusal(Kind.ALREADY_EXISTS, Reason.INPUT_MALFORMED)


class Listener(NamedTuple):
    """A listener that serves."""

    address: ListenAddress
    server: InternalHttpServer
    registry: Registry

    def connection(self, context: ssl.SSLContext | None = None) -> HTTPConnection:
        """A client."""
        host, port = self.address.host, self.address.port
        if context is not None:
            return HTTPSConnection(host, port, timeout=10, context=context)
        return HTTPConnection(host, port, timeout=10)

    def ask(
        self,
        method: str,
        target: str,
        body: str | None = None,
        headers: dict[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> tuple[HTTPResponse, Any]:
        """One request on a connection of its own: the response, and its JSON."""
        connection = self.connection(context)
        try:
            connection.request(method, target, body, BEARER if headers is None else headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        return response, json.loads(content) if content else None

    def send(self, content: bytes) -> bytes:
        """Bytes as they are; all that comes back until the connection is closed."""
        with socket.create_connection((self.address.host, self.address.port), timeout=10) as raw:
            raw.sendall(content)
            return everything(raw)


def everything(raw: socket.socket) -> bytes:
    """All that comes until the connection is closed."""
    received = b""
    while some := raw.recv(65536):
        received += some
    return received


def status(answer: bytes) -> int:
    """The status of an answer, whose body must be the one of the API's errors."""
    head, _, content = answer.partition(b"\r\n\r\n")
    found = int(head.split(b" ")[1])
    assert head.startswith(b"HTTP/1.1 ")
    assert b"Content-Type: application/json" in head
    assert json.loads(content)["status"] == found
    return found


def application(registry: Registry, threads: int = 2) -> HttpApplication:
    """The REST of the golden internal API."""
    service = InternalService(
        "core",
        frozenset({"staff"}),
        frozenset({"core.example"}),
        hashlib.sha256(TOKEN.encode()).digest(),
    )
    interceptors = chain(
        rules=REGISTRY.access,
        audit=registry,
        buckets=None,
        access=None,  # type: ignore[arg-type]  # no method here is for API consumers
        internal_services=[service],
        origin=OriginCheck(TrustedEdges(), lambda _: Reason.OFF_NET),
    )
    served = {
        "GetOrganization": registry.get,
        "UpdateOrganization": registry.update,
        "SuspendOrganization": registry.suspend,
        "CreateOrganization": registry.create,
    }
    behaviours = {}
    for name, behaviour in served.items():
        full_name = f"/registry.v1.RegistryService/{name}"
        behaviours[full_name] = compose(interceptors, full_name, behaviour)
    return HttpApplication(RestApi(Transcoder(REGISTRY.routes, REGISTRY.pool), behaviours, interceptors), {}, threads)


@contextmanager
def listening(
    *, threads: int = 2, max_waiting: int = 8, tls: TlsSettings | None = None, patience: float = 10, idle: float = 10
) -> Iterator[Listener]:
    """A listener on a port of its own."""
    registry = Registry()
    with reserve(ListenAddress(host="127.0.0.1", port=0)) as reserved:
        host, port = reserved.getsockname()
        address = ListenAddress(host=host, port=port)
        settings = InternalSettings(threads=threads, max_waiting=max_waiting, tls=tls)
        server = InternalHttpServer(settings, address, application(registry, threads), patience=patience, idle=idle)
        server.start()
        try:
            yield Listener(address, server, registry)
        finally:
            registry.may_go.set()
            server.stop(5)
