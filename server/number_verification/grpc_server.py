"""gRPC listeners: the methods of the contract behind the interceptors, health, reflection, and limits."""

from __future__ import annotations  # the stubs' classes are generic, grpc's own are not

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_interceptor import ServerInterceptor
from grpc_reflection.v1alpha import reflection, reflection_pb2

from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.interceptors import FRAME, compose
from number_verification.listener_settings import GrpcSettings, ListenAddress, TlsSettings
from number_verification.services.handlers import Method, handler

MAX_METADATA = 128 * 1024
"""Bytes of a call's metadata: more than any token takes, so that an oversized one is answered UNAUTHENTICATED."""

MAX_MESSAGE = 64 * 1024
"""Bytes of a request message. Those of the contract are far smaller."""

_OPTIONS = (
    # More processes share the port; the kernel spreads connections over them.
    ("grpc.so_reuseport", 1),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_metadata_size", MAX_METADATA),
    ("grpc.absolute_max_metadata_size", MAX_METADATA),
    # Dead peers are found within 80 s; peers may ping every 30 s, on idle connections too (gRFC A8, A9).
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
    ("grpc.max_connection_idle_ms", 600_000),
    ("grpc.max_concurrent_streams", 256),
)


class GrpcServer:
    """One gRPC listener.

    Args:
        settings: where and how it listens.
        address: where it listens, with the port that was reserved.
        methods: what it serves.
        interceptors: the list that every call of ours passes.
    """

    def __init__(
        self,
        settings: GrpcSettings,
        address: ListenAddress,
        methods: Sequence[Method],
        interceptors: Sequence[ServerInterceptor],
    ) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(settings.threads, "grpc"),
            options=_OPTIONS,
            maximum_concurrent_rpcs=settings.threads + settings.max_waiting,
        )
        names = sorted({method.service for method in methods})
        for name in names:
            handlers = {m.name: handler(m, interceptors) for m in methods if m.service == name}
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
            self._server.add_registered_method_handlers(name, handlers)  # type: ignore[attr-defined]  # stubs of 1.53
        self._health = health.HealthServicer(experimental_non_blocking=True)
        if settings.health:
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
            names.append(health.SERVICE_NAME)
        if settings.reflection:
            self._server.add_generic_rpc_handlers(_reflection([*names, reflection.SERVICE_NAME]))
        self._server.add_generic_rpc_handlers((_Unknown(interceptors),))
        self._listen(address, settings.tls)
        self._names = names

    def _listen(self, address: ListenAddress, tls: TlsSettings | None) -> None:
        if tls is None:
            self._server.add_insecure_port(str(address))
        else:
            self._server.add_secure_port(str(address), _credentials(tls))

    def start(self) -> None:
        """Begin to serve."""
        self._server.start()
        for name in ("", *self._names):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    def drain(self, grace: float) -> None:
        """Take no more calls, let what runs finish within `grace` seconds, end the rest."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()


class _Unknown(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # not generic at run time
    """Answers methods that do not exist through the interceptors, so that they are seen and limited like any other."""

    def __init__(self, interceptors: Sequence[ServerInterceptor]) -> None:
        self._handler = grpc.unary_unary_rpc_method_handler(compose(interceptors[:FRAME], "unknown", _refuse))

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any]:
        return self._handler


def _reflection(service_names: Sequence[str]) -> tuple[grpc.GenericRpcHandler[Any, Any], ...]:
    # grpcio-reflection serves v1alpha. In v1 the service was renamed and nothing else (gRFC A15).
    servicer = reflection.ReflectionServicer(service_names)
    info = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return tuple(
        grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": info})
        for name in ("grpc.reflection.v1.ServerReflection", reflection.SERVICE_NAME)
    )


def _refuse(_request: object, _context: grpc.ServicerContext) -> None:
    raise Refusal(Kind.UNIMPLEMENTED, Reason.NO_SUCH_METHOD)


def _credentials(tls: TlsSettings) -> grpc.ServerCredentials:
    pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
    client_ca = tls.client_ca.read_bytes() if tls.client_ca else None
    return grpc.ssl_server_credentials([pair], client_ca, require_client_auth=tls.require_client_certificate)
