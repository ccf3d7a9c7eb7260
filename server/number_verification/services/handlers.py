"""What serves each method of the contract, as its descriptors list them."""

from __future__ import annotations  # the stubs' classes are generic, grpc's own are not

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_interceptor import ServerInterceptor

from number_verification.interceptors import Behaviour, compose


class Method(NamedTuple):
    """One method and what serves it, without interceptors."""

    service: str
    name: str
    behaviour: Behaviour
    request_class: type[Message]
    client_streaming: bool

    @property
    def full_name(self) -> str:
        """As on the wire."""
        return f"/{self.service}/{self.name}"


def methods(service: ServiceDescriptor, servicer: object) -> Iterator[Method]:
    """Every method of a service, served by the servicer's method of the same name."""
    for method in service.methods:
        if method.server_streaming:
            raise TypeError(f"{method.full_name}: an answer that is a stream would hold a thread")
        yield Method(
            service.full_name,
            method.name,
            getattr(servicer, method.name),
            GetMessageClass(method.input_type),
            bool(method.client_streaming),
        )


def handler(method: Method, interceptors: Sequence[ServerInterceptor]) -> grpc.RpcMethodHandler[Any, Any]:
    """The method as a gRPC server has it. Requests arrive undecoded (see the validation interceptor)."""
    create = grpc.stream_unary_rpc_method_handler if method.client_streaming else grpc.unary_unary_rpc_method_handler
    return create(
        compose(interceptors, method.full_name, method.behaviour),
        request_deserializer=_undecoded(method.request_class),
        response_serializer=_serialized,
    )


def _undecoded(request_class: type[Message]) -> Callable[[bytes], Callable[[], Message]]:
    decode = request_class.FromString
    return lambda content: partial(decode, content)


def _serialized(response: Message) -> bytes:
    return response.SerializeToString()
