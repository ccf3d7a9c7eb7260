"""From an HTTP request to a request message, and from a response message to a body, by the generated route table."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.rest import json_writer
from number_verification.rest.json_reader import Malformed, MessageReader, from_text, parse
from number_verification.rest.routing import Found, Router
from number_verification.rest.tables import FieldPath, Route

_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Match(NamedTuple):
    """A route that answers to a request, with the text of its path variables."""

    route: Route
    decode: Callable[[str, bytes], Message]
    """Takes the query string and the body."""


class Transcoder:
    """Matches requests to the routes of a table and converts what they carry.

    Args:
        routes: the table, as generated.
        pool: where the types of the routes are registered; the modules with the messages must have been imported.
    """

    def __init__(self, routes: Sequence[Route], pool: DescriptorPool | None = None) -> None:
        types = pool or descriptor_pool.Default()
        decoders = [_Decoder(route, types.FindMessageTypeByName(route.request_type)) for route in routes]
        self._router = Router(routes, decoders)
        self._writers = {
            (route.response_type, route.response_body): _response_writer(
                types.FindMessageTypeByName(route.response_type), route.response_body
            )
            for route in routes
        }

    def match(self, method: str, path: str) -> Match | Sequence[str]:
        """The route that answers; else the methods that the path knows, none where it knows none.

        Args:
            method: the HTTP method.
            path: as WSGI gives it, percent-decoded.
        """
        found = self._router.find(method, path)
        if isinstance(found, Found):
            decoder = found.target
            return Match(decoder.route, partial(decoder.decode, found.values))
        return found

    @staticmethod
    def decode(match: Match, query_string: str, body: bytes) -> Message:
        """The request message. Path variables win over the body and the query.

        Args:
            match: the route that answers.
            query_string: percent-encoded, without its `?`.
            body: empty where there is none.

        Raises:
            Refusal: INVALID_ARGUMENT, with a violation that names the field but not its value.
        """
        return match.decode(query_string, body)

    def encode(self, message: Message, response_body: str = "") -> bytes:
        """A response of a route as compact JSON, fields without presence always included.

        Args:
            message: the response.
            response_body: the field that is answered (`Route.response_body`); empty for the message as a whole.
        """
        return json_writer.encode(self._writers[message.DESCRIPTOR.full_name, response_body](message))


def _response_writer(response: Descriptor, body: str) -> json_writer.Writer:
    if not body:
        return json_writer.MessageWriter(response).write
    write = json_writer.field_writer(response.fields_by_name[body])
    return lambda message: write(getattr(message, body))


class _Parameter:
    """A field that text fills: of the path, or of the query."""

    def __init__(self, name: str, path: FieldPath, request: Descriptor) -> None:
        self.name = name
        *self._parents, self._field_name = path
        descriptor: Any = request
        for parent in self._parents:
            descriptor = descriptor.fields_by_name[parent].message_type
        field = descriptor.fields_by_name[self._field_name]
        self.is_repeated = field.is_repeated
        self._from_text = from_text(field)
        self._set = MessageReader(descriptor).setters[field.json_name]

    def fill(self, message: Any, texts: Sequence[str], *, anew: bool = False) -> None:
        """Put one text, or the texts of a repeated field, into the field.

        Args:
            message: the request.
            texts: at least one.
            anew: whether to drop what the field holds.
        """
        for parent in self._parents:
            message = getattr(message, parent)
        if anew:
            message.ClearField(self._field_name)
        values = [self._from_text(text) for text in texts]
        try:
            self._set(message, values if self.is_repeated else values[0], 0)
        except Malformed as fault:
            raise fault.within(self.name) from None


class _Decoder:
    """Makes the request messages of one route."""

    def __init__(self, route: Route, request: Descriptor) -> None:
        self.route = route
        self._new = GetMessageClass(request)
        self._variables = [
            _Parameter(_json_name(request, variable.field_path), variable.field_path, request)
            for variable in route.variables
        ]
        self._query = {
            parameter.name: _Parameter(parameter.name, parameter.field_path, request) for parameter in route.query
        }
        field: Any = None if route.body in ("", "*") else request.fields_by_name[route.body]
        self._body_field = field.name if field else ""
        self._body_name = field.json_name if field else ""
        self._body = MessageReader(field.message_type if field else request)

    def decode(self, values: Sequence[str], query_string: str, body: bytes) -> Message:
        """The request message; see `Transcoder.decode`."""
        message: Any = self._new()
        try:
            self._read_body(message, body)
            if query_string:
                self._read_query(message, query_string)
            for variable, text in zip(self._variables, values, strict=True):
                variable.fill(message, (text,), anew=True)
        except Malformed as fault:
            violation = Violation(fault.field, fault.description)
            raise Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=[violation]) from None
        return message  # type: ignore[no-any-return]

    def _read_body(self, message: Any, body: bytes) -> None:
        if not body:
            if self.route.body_required:
                raise Malformed("a body is required")
            return
        if not self.route.body:
            raise Malformed("no body is expected")
        target = message
        if self._body_field:
            target = getattr(message, self._body_field)
            target.SetInParent()
        try:
            self._body.read(target, parse(body))
        except Malformed as fault:
            if self._body_name:
                fault = fault.within(self._body_name)
            if not fault.field:
                raise Malformed(f"the body {fault.description}") from None
            raise

    def _read_query(self, message: Any, query_string: str) -> None:
        given: dict[str, list[str]] = {}
        for name, text in _pairs(query_string):
            given.setdefault(name, []).append(text)
        for name, texts in given.items():
            parameter = self._query.get(name)
            if parameter is None:
                # The name comes from outside: it is not repeated.
                raise Malformed("the query has an unknown parameter")
            if len(texts) > 1 and not parameter.is_repeated:
                raise Malformed("is given more than once", name)
            parameter.fill(message, texts)


def _json_name(request: Descriptor, path: FieldPath) -> str:
    names = []
    descriptor: Any = request
    for name in path:
        field = descriptor.fields_by_name[name]
        names.append(field.json_name)
        descriptor = field.message_type
    return ".".join(names)


def _pairs(query_string: str) -> Iterator[tuple[str, str]]:
    """The names and values of a query (WHATWG URL §5.1), refused where the encoding is broken."""
    if _BROKEN_PERCENT.search(query_string):
        raise Malformed("the query is not percent-encoded UTF-8")
    for pair in query_string.split("&"):
        name, _, text = pair.partition("=")
        yield _unquoted(name), _unquoted(text)


def _unquoted(text: str) -> str:
    try:
        # WSGI gives the bytes as Latin-1 (PEP 3333).
        return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode()
    except UnicodeError:
        raise Malformed("the query is not percent-encoded UTF-8") from None
