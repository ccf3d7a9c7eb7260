"""Internal calls as HTTP, as an independent client would make them of the contract's bindings."""

import json
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from number_verification.gen.audit.v1 import audit_pb2
from number_verification.gen.consent.v1 import consent_pb2
from number_verification.gen.onboarding.v1 import onboarding_service_pb2
from number_verification.gen.routes import ROUTES

SERVICES: tuple[Any, ...] = tuple(
    file.services_by_name[name]
    for file, name in (
        (onboarding_service_pb2.DESCRIPTOR, "OnboardingService"),
        (consent_pb2.DESCRIPTOR, "ConsentService"),
        (audit_pb2.DESCRIPTOR, "AuditService"),
    )
)
_METHODS = {method.input_type.full_name: method for service in SERVICES for method in service.methods}
_ROUTES = {route.rpc: route for route in ROUTES if route.internal}


class Bound(NamedTuple):
    """A message as an HTTP request."""

    http_method: str
    path: str
    query: str
    body: bytes | None


def rpc_of(request: Message) -> str:
    """The full name of the method that a request is for."""
    method = _METHODS[request.DESCRIPTOR.full_name]
    return f"/{method.containing_service.full_name}/{method.name}"


def response_class(request: Message) -> Any:
    """What its answers are."""
    return GetMessageClass(_METHODS[request.DESCRIPTOR.full_name].output_type)


def answered(request: Message, body: bytes) -> Any:
    """The response that the body of an HTTP answer stands for."""
    response = response_class(request)()
    field = _ROUTES[rpc_of(request)].response_body
    json_format.Parse(body, getattr(response, field) if field else response)
    return response


def bind(request: Message) -> Bound:
    """The HTTP request that a message is sent as."""
    route = _ROUTES[rpc_of(request)]
    sent = type(request)()
    sent.CopyFrom(request)
    segments = list(route.segments)
    for variable in route.variables:
        *parents, name = variable.field_path
        holder: Any = sent
        for parent in parents:
            holder = getattr(holder, parent)
        segments[variable.first : variable.end] = getattr(holder, name).split("/")
        holder.ClearField(name)
    content = json_format.MessageToDict(sent)
    body = content if route.body == "*" else content.pop(route.body, {}) if route.body else None
    return Bound(
        route.http_method,
        "/" + "/".join(quote(segment, safe=":") for segment in segments) + (f":{route.verb}" if route.verb else ""),
        "" if route.body == "*" else urlencode(content, doseq=True),
        None if body is None else json.dumps(body).encode(),
    )
