"""An internal listener that keeps what it is told in dictionaries, and fails as a test wants.

For what no real service does on demand. It checks nothing but names, etags and states.
"""

import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from number_verification import errors
from number_verification.administration.resources import KINDS, SERVICE, VERBS, Kind
from number_verification.domain.refusal import Kind as RefusalKind
from number_verification.domain.refusal import Reason, Refusal, Violation
from number_verification.gen.audit.v1 import audit_pb2
from number_verification.gen.consent.v1 import consent_pb2

AUDIT = audit_pb2.DESCRIPTOR.services_by_name["AuditService"]
CONSENT = consent_pb2.DESCRIPTOR.services_by_name["ConsentService"]


class Internal:
    """The state of the listener, and what it was asked."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.metadata: list[dict[str, str]] = []
        self.failures: dict[str, list[grpc.StatusCode]] = {}
        """Statuses that the next calls of a method end with."""
        self.violations: list[tuple[str, str]] = []
        """What is wrong with every request."""
        self.answers: dict[str, Any] = {}
        """In place of what is kept."""
        self.lock = threading.Lock()
        self.address = ""

    def serve(self, method: MethodDescriptor, request: Any, context: Any) -> Message:
        with self.lock:
            self.asked.append((method.name, request))
            self.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
            if self.failures.get(method.name):
                context.abort(self.failures[method.name].pop(0), "as the test wants")
            try:
                return self._answer(method, request)
            except Refusal as refusal:
                context.abort_with_status(rpc_status.to_status(errors.rpc_status(refusal)))
                raise

    def _answer(self, method: MethodDescriptor, request: Any) -> Message:
        response: Any = GetMessageClass(method.output_type)()
        if self.violations:
            raise Refusal(
                RefusalKind.INVALID_ARGUMENT,
                Reason.INPUT_MALFORMED,
                violations=[Violation(*v) for v in self.violations],
            )
        if method.name in self.answers:
            return self.answers[method.name]  # type: ignore[no-any-return]
        if method.containing_service is not SERVICE:
            return response  # type: ignore[no-any-return]
        kind, action = _meant(method)
        if action == "list":
            self._list(kind, request, response)
        else:
            changed = getattr(self, f"_{action}", self._lead)(kind, request, action)
            getattr(response, kind.singular).CopyFrom(changed)
        return response  # type: ignore[no-any-return]

    def _list(self, kind: Kind, request: Any, response: Any) -> None:
        parent = getattr(request, "parent", "").removesuffix("-")
        names = sorted(
            name for name, each in self.kept.items() if each.DESCRIPTOR is kind.message and name.startswith(parent)
        )
        first = int(request.page_token or 0)
        last = first + (request.page_size or 100)
        getattr(response, kind.plural).extend(self.kept[name] for name in names[first:last])
        response.next_page_token = str(last) if last < len(names) else ""

    def _get(self, kind: Kind, request: Any, action: str) -> Any:
        if request.name not in self.kept:
            raise Refusal(RefusalKind.NOT_FOUND, Reason.NO_SUCH_ENTITY)
        return self.kept[request.name]

    def _create(self, kind: Kind, request: Any, action: str) -> Any:
        resource = getattr(request, kind.singular)
        identifier = getattr(request, f"{kind.singular}_id") or "chosen"
        resource.name = (
            f"{request.parent}/{kind.plural}/{identifier}" if kind.collection else f"{kind.plural}/{identifier}"
        )
        if resource.name in self.kept:
            raise Refusal(RefusalKind.ALREADY_EXISTS, Reason.NAME_TAKEN)
        resource.state, resource.etag = 1, "1"
        self.kept[resource.name] = resource
        return resource

    def _current(self, kind: Kind, named: Any) -> Any:
        resource = self._get(kind, named, "")
        if named.etag and named.etag != resource.etag:
            raise Refusal(RefusalKind.ABORTED, Reason.STALE_ETAG)
        resource.etag = str(int(resource.etag) + 1)
        return resource

    def _update(self, kind: Kind, request: Any, action: str) -> Any:
        given = getattr(request, kind.singular)
        resource = self._current(kind, given)
        for path in request.update_mask.paths:
            resource.ClearField(path)
            part = GetMessageClass(kind.message)()
            part.CopyFrom(given)
            for field in kind.message.fields:
                if field.name != path:
                    part.ClearField(field.name)
            resource.MergeFrom(part)
        return resource

    def _lead(self, kind: Kind, request: Any, action: str) -> Any:
        before = kind.state(self._get(kind, request, "").state)
        if before not in VERBS[action].sources:
            raise Refusal(RefusalKind.FAILED_PRECONDITION, Reason.STATE_NOT_ALLOWED)
        resource = self._current(kind, request)
        resource.state = next(v.number for v in kind.states.values if kind.state(v.number) == VERBS[action].target)
        return resource


def _meant(method: MethodDescriptor) -> tuple[Kind, str]:
    for kind in KINDS.values():
        if method is kind.list_method:
            return kind, "list"
        if method.name.endswith(kind.message.name):
            return kind, method.name.removesuffix(kind.message.name).lower()
    raise AssertionError(method.name)


@contextmanager
def running_internal(credentials: grpc.ServerCredentials | None = None) -> Iterator[Internal]:
    """The listener on a free port."""
    internal = Internal()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    for service in (SERVICE, CONSENT, AUDIT):
        handlers = {
            method.name: grpc.unary_unary_rpc_method_handler(
                lambda request, context, method=method: internal.serve(method, request, context),
                request_deserializer=GetMessageClass(method.input_type).FromString,
                response_serializer=lambda response: response.SerializeToString(),
            )
            for method in service.methods
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    internal.address = f"127.0.0.1:{port}"
    server.start()
    try:
        yield internal
    finally:
        server.stop(None).wait()
