"""The types of the generated route table."""

from typing import NamedTuple, TypeAlias

FieldPath: TypeAlias = tuple[str, ...]
"""Names of fields, as in the proto file, from the request message down to the field that is meant."""


class PathVariable(NamedTuple):
    """A part of the path that fills a field."""

    field_path: FieldPath
    first: int
    """The index of the first segment it takes."""
    end: int | None
    """The index after its last segment; None where it takes all the rest of the path."""


class QueryParameter(NamedTuple):
    """A query parameter that fills a field."""

    name: str
    """The field's path in JSON names, joined by dots."""
    field_path: FieldPath


class Route(NamedTuple):
    """One HTTP binding of a method."""

    http_method: str
    template: str
    """The path template as text, for people."""
    segments: tuple[str, ...]
    """The segments of the path: a literal, percent-decoded, or `*` for any one, or at the end `**` for any number."""
    verb: str
    """What follows the last segment after a colon; empty for nothing."""
    variables: tuple[PathVariable, ...]
    query: tuple[QueryParameter, ...]
    body: str
    """The field that the body fills, or `*` for the request as a whole; empty where there is no body."""
    body_required: bool
    """Whether a request without a body can never be right."""
    response_body: str
    """The field that is answered; empty for the response as a whole."""
    rpc: str
    """The method's full name: `/package.Service/Method`."""
    request_type: str
    response_type: str
    operation_id: str
    internal: bool = False
    """Whether it belongs to an internal API."""


class Api(NamedTuple):
    """One API that is exposed through REST."""

    base_path: str
    """What the paths of all its routes begin with."""
    document: str
    """The OpenAPI document, as a file beside the table, without its `.json` or `.yaml`."""
    internal: bool = False
    """Whether its methods are for services and people of the operator and of its partners, not for applications with
    access tokens: only the internal listener serves it."""
