"""OAuth errors and parameters, as every endpoint of the authorization server has them."""

import json
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from number_verification.domain.refusal import Reason
from number_verification.rest.http import BodyTooLarge, HttpRequest, HttpResponse

MAX_FORM = 64 * 1024
"""Bytes of a form. A client assertion and a signed request fit many times over."""

MAX_PARAMETERS = 64

NO_STORE = [("Cache-Control", "no-store"), ("Pragma", "no-cache")]
"""RFC 6749 §5.1: answers of the token endpoint are never cached; nor are redirects that carry a code."""

_PRINTABLE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*")


class OAuthError(Exception):
    """A request to the authorization server that is refused (RFC 6749 §4.1.2.1, §5.2).

    Args:
        error: the registered error code.
        description: for the developer at the caller's side. No internals, none of the caller's values.
        reason: why, for the operator.
        status: of the answer where it is not a redirect.
        retry_after: seconds, for 429 and 503.
        challenge: `WWW-Authenticate`, for clients that tried to authenticate by `Authorization` (RFC 6749 §5.2).
    """

    def __init__(
        self,
        error: str,
        description: str,
        reason: Reason,
        *,
        status: int = 400,
        retry_after: int | None = None,
        challenge: str = "",
    ) -> None:
        super().__init__(f"{error}: {reason.value}")
        self.error = error
        self.description = description
        self.reason = reason
        self.status = status
        self.retry_after = retry_after
        self.challenge = challenge
        self.redirect: HttpResponse | None = None
        """The answer where the error is told by redirect."""


def invalid_request(description: str) -> OAuthError:
    """The request is malformed."""
    return OAuthError("invalid_request", description, Reason.INPUT_MALFORMED)


def too_many_requests(reason: Reason, retry_after: int) -> OAuthError:
    """The client, or its peer, asks more often than agreed."""
    return OAuthError("too_many_requests", "try again later", reason, status=429, retry_after=retry_after)


def query_parameters(request: HttpRequest) -> dict[str, str]:
    """The parameters of a request to the authorization endpoint: in the query of a GET or the form of a POST.

    Raises:
        OAuthError: malformed, or a parameter is repeated (RFC 6749 §3.1).
    """
    if request.method == "POST":
        return form_parameters(request)
    return _parameters(request.query_string)


def form_parameters(request: HttpRequest) -> dict[str, str]:
    """The parameters of a form in the body.

    Raises:
        OAuthError: malformed, too large, or a parameter is repeated (RFC 6749 §3.2).
    """
    media_type = (request.header("CONTENT_TYPE") or "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise invalid_request("the body must be application/x-www-form-urlencoded")
    try:
        return _parameters(request.body(MAX_FORM).decode("ascii"))
    except (BodyTooLarge, UnicodeDecodeError):
        raise invalid_request("the form is too large or not ASCII") from None


def _parameters(encoded: str) -> dict[str, str]:
    if len(encoded) > MAX_FORM:
        raise invalid_request("too many parameters")
    try:
        pairs = parse_qsl(
            encoded,
            keep_blank_values=True,
            strict_parsing=bool(encoded),
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        raise invalid_request("the parameters cannot be read") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise invalid_request("a parameter is repeated")
    # A parameter without a value counts as absent (RFC 6749 §3.1).
    return {name: value for name, value in parameters.items() if value}


def error_response(error: OAuthError) -> HttpResponse:
    """The error as it is answered: by redirect where one is due, else as JSON (RFC 6749 §5.2)."""
    if error.redirect is not None:
        return error.redirect
    headers = list(NO_STORE)
    if error.retry_after is not None:
        headers.append(("Retry-After", str(error.retry_after)))
    if error.challenge:
        headers.append(("WWW-Authenticate", error.challenge))
    return json_response({"error": error.error, "error_description": error.description}, error.status, headers)


def json_response(
    content: Mapping[str, object], status: int = 200, headers: list[tuple[str, str]] | None = None
) -> HttpResponse:
    """An answer in JSON."""
    body = json.dumps(content, separators=(",", ":")).encode()
    return HttpResponse(status, [("Content-Type", "application/json"), *(headers or [])], body)


def is_printable(text: str, limit: int) -> bool:
    """Whether a value that will be sent back consists of characters that OAuth allows (RFC 6749 appendix A.5)."""
    return len(text) <= limit and _PRINTABLE.fullmatch(text) is not None
