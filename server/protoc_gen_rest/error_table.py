"""The error codes of the REST layer, for the OpenAPI document. A test holds them to those the service answers with."""

from typing import NamedTuple


class ErrorRow(NamedTuple):
    """One error code."""

    status: int
    """The HTTP status."""
    message: str
    """An example of the text for people."""


ERRORS = {
    "INVALID_ARGUMENT": ErrorRow(400, "The request does not keep to the contract."),
    "UNAUTHENTICATED": ErrorRow(
        401,
        "The access token is missing, invalid, expired or used up. Let the user authorize again.",
    ),
    "PERMISSION_DENIED": ErrorRow(403, "The application is not permitted to do this."),
    "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK": ErrorRow(
        403, "The end user was not authenticated by the mobile network."
    ),
    "NOT_FOUND": ErrorRow(404, "There is no such resource."),
    "ALREADY_EXISTS": ErrorRow(409, "There is such a resource already."),
    "ABORTED": ErrorRow(409, "The resource was changed in the meantime. Read it again before the next attempt."),
    "FAILED_PRECONDITION": ErrorRow(400, "The state of the resource does not allow this."),
    "METHOD_NOT_ALLOWED": ErrorRow(405, "This path does not know the method."),
    "NOT_ACCEPTABLE": ErrorRow(406, "The server answers with application/json, which the Accept header excludes."),
    "UNSUPPORTED_MEDIA_TYPE": ErrorRow(415, "The request body must be application/json in UTF-8."),
    "TOO_MANY_REQUESTS": ErrorRow(429, "Too many requests. Try again later."),
    "QUOTA_EXCEEDED": ErrorRow(429, "The agreed quota is used up."),
    "INTERNAL": ErrorRow(500, "Something went wrong on our side."),
    "NOT_IMPLEMENTED": ErrorRow(501, "There is no such method."),
    "UNAVAILABLE": ErrorRow(503, "The service is not available now. Try again later."),
    "TIMEOUT": ErrorRow(504, "The request took too long."),
}

EVERYWHERE = (
    "INVALID_ARGUMENT",
    "UNAUTHENTICATED",
    "NOT_ACCEPTABLE",
    "TOO_MANY_REQUESTS",
    "INTERNAL",
    "UNAVAILABLE",
    "TIMEOUT",
)
"""The codes that every operation can answer with."""

PUBLIC = ("QUOTA_EXCEEDED",)
"""The codes that only operations of public APIs can answer with, but every one of them."""

INTERNAL = ("PERMISSION_DENIED",)
"""The codes that every operation of an internal API can answer with: its callers need a role."""

WITH_BODY = ("UNSUPPORTED_MEDIA_TYPE",)
"""The codes that only operations with a body can answer with."""

STATUS_TEXTS = {
    400: "The request breaks the contract",
    401: "The request is not authenticated",
    403: "The request is not permitted",
    404: "There is no such resource",
    405: "The resource does not know the method",
    406: "The answer cannot be given in an acceptable form",
    409: "The resource is not as the request takes it to be",
    415: "The body is not JSON",
    429: "There are too many requests",
    500: "A fault of the service",
    501: "There is no such method",
    503: "The service is not available",
    504: "The request took too long",
}
