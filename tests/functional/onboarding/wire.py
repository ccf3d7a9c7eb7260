"""The onboarding service behind the real interceptors, called over gRPC and by REST as by one face."""

import hashlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_interceptor import ServerInterceptor
from grpc_status import rpc_status

from functional.onboarding.binding import Bound, answered, bind, response_class, rpc_of
from number_verification.domain.access import AccessCheck
from number_verification.domain.attribution import AttributionPolicy
from number_verification.domain.audit import AuditRecord
from number_verification.domain.callers import CallerCheck, ConfiguredService
from number_verification.domain.grant import AccessGrant
from number_verification.domain.onboarding.principal import Principal, PrincipalClient
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.gen.onboarding.v1 import onboarding_service_pb2
from number_verification.gen.routes import ROUTES
from number_verification.gen.rules import ACCESS_RULES
from number_verification.interceptors import chain, compose
from number_verification.interceptors.origin import OriginCheck
from number_verification.origin.attestation import TrustedEdges
from number_verification.rest.api import RestApi
from number_verification.rest.http import HttpRequest
from number_verification.rest.transcoding import Transcoder
from number_verification.rest.turns import Turns
from number_verification.services.handlers import handler, methods
from number_verification.services.onboarding import OnboardingServicer

SERVICE: Any = onboarding_service_pb2.DESCRIPTOR.services_by_name["OnboardingService"]
METHODS = {method.name: method for method in SERVICE.methods}


class Outcome(NamedTuple):
    """What came back."""

    code: str
    """`OK`, or the error code of the contract."""
    response: Any = None
    """The response message; None for a refusal."""
    text: str = ""
    """What the caller reads of a refusal."""
    reason: str = ""
    """What the operator reads of it."""


Call = Callable[[Principal | None, Message], Outcome]
"""Calls the method that the request's type belongs to; as nobody for None."""


def token_of(principal: Principal) -> str:
    return hashlib.sha256(repr((principal.name, sorted(principal.roles))).encode()).hexdigest()


class Trail:
    """Remembers what was recorded of the last call."""

    def __init__(self) -> None:
        self.last: AuditRecord | None = None

    def record(self, record: AuditRecord, phone_number: str = "") -> None:
        assert phone_number == ""
        self.last = record


def interceptors(principals: Sequence[Principal], trail: Trail) -> tuple[ServerInterceptor, ...]:
    services = [
        ConfiguredService(
            PrincipalClient(principal, ""), token_digest=hashlib.sha256(token_of(principal).encode()).digest()
        )
        for principal in principals
    ]
    access = AccessCheck(_no_token, None, None, None, AttributionPolicy(frozenset()), lambda: 0)  # type: ignore[arg-type]
    return chain(
        rules=ACCESS_RULES,
        audit=trail,
        buckets=None,
        access=access,
        callers=CallerCheck(services, _Nobody(), _no_client),
        origin=OriginCheck(TrustedEdges(), lambda _: Reason.OFF_NET),
    )


class _Nobody:
    """People of a registry that has none: how they are known has its own tests."""

    def principal(self, client_id: str) -> PrincipalClient | None:
        raise AssertionError(client_id)

    def principal_with_certificate(self, names: frozenset[str]) -> PrincipalClient | None:
        raise AssertionError(names)


def _no_client(_: str) -> str:
    raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_UNKNOWN)


def _no_token(_: str) -> AccessGrant:
    raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_UNKNOWN)


@contextmanager
def over_grpc(servicer: OnboardingServicer, principals: Sequence[Principal]) -> Iterator[Call]:
    listed = interceptors(principals, trail := Trail())
    server = grpc.server(ThreadPoolExecutor(4))
    handlers = {each.name: handler(each, listed) for each in methods(SERVICE, servicer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:

        def call(principal: Principal | None, request: Message) -> Outcome:
            rpc = channel.unary_unary(rpc_of(request), None, response_class(request).FromString)
            metadata = (("authorization", f"Bearer {token_of(principal)}"),) if principal else ()
            try:
                return Outcome("OK", rpc(request.SerializeToString(), metadata=metadata, timeout=10))
            except grpc.RpcError as error:
                return _grpc_refusal(error)._replace(reason=trail.last.reason if trail.last else "")

        yield call
    server.stop(None).wait()


def _grpc_refusal(error: Any) -> Outcome:
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert error.code().name == info.reason
    return Outcome(info.reason, None, status.message)


@contextmanager
def over_rest(servicer: OnboardingServicer, principals: Sequence[Principal]) -> Iterator[Call]:
    listed = interceptors(principals, trail := Trail())
    behaviours = {m.full_name: compose(listed, m.full_name, m.behaviour) for m in methods(SERVICE, servicer)}
    api = RestApi(Transcoder([route for route in ROUTES if route.rpc in behaviours]), behaviours, listed)

    def call(principal: Principal | None, request: Message) -> Outcome:
        bound = bind(request)
        response = api(HttpRequest(_environ(principal, bound), Turns(1)))
        if response.status != 200:
            content = json.loads(response.body)
            assert content["status"] == response.status
            return Outcome(content["code"], None, content["message"], trail.last.reason if trail.last else "")
        return Outcome("OK", answered(request, response.body))

    yield call


def _environ(principal: Principal | None, bound: Bound) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": bound.http_method,
        "PATH_INFO": bound.path,
        "QUERY_STRING": bound.query,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "wsgi.input": io.BytesIO(bound.body or b""),
        **({"HTTP_AUTHORIZATION": f"Bearer {token_of(principal)}"} if principal else {}),
    }
