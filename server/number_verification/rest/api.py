"""Calls of the API by HTTP: generated routes, strict JSON, and the interceptors that gRPC calls pass too."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NoReturn

import grpc
from google.protobuf.message import Message
from grpc_interceptor import ServerInterceptor

from number_verification import errors
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.interceptors import FRAME, Behaviour, compose
from number_verification.interceptors.call import CORRELATOR
from number_verification.interceptors.correlator import correlator_or_new
from number_verification.interceptors.validation import Undecoded
from number_verification.rest.context import Aborted, RestContext
from number_verification.rest.http import BodyTooLarge, HttpRequest, HttpResponse
from number_verification.rest.transcoding import Match, Transcoder

MAX_BODY = 16 * 1024
"""Bytes of a request's body."""

_JSON = re.compile(r"application/json\s*(;\s*charset\s*=\s*\"?utf-8\"?\s*)?", re.IGNORECASE)
_JSON_RANGES = {"*/*": 0, "application/*": 1, "application/json": 2}
_ZERO_WEIGHT = re.compile(r"q\s*=\s*0(\.0{0,3})?")
_JSON_HEADER = ("Content-Type", "application/json")
_FAULT = Refusal(Kind.INTERNAL, Reason.FAULT)


class RestApi:
    """Serves the routes of the contract.

    Args:
        transcoder: matches routes and turns JSON into messages and back.
        behaviours: what serves each method, by full name, the interceptors around it.
        interceptors: the list, of which the outer part frames answers to what no method serves.
    """

    def __init__(
        self, transcoder: Transcoder, behaviours: Mapping[str, Behaviour], interceptors: Sequence[ServerInterceptor]
    ) -> None:
        self._transcoder = transcoder
        self._behaviours = behaviours
        self._unserved = compose(interceptors[:FRAME], "unknown", _refuse)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Serve one request, whatever its path."""
        method = "GET" if request.method == "HEAD" else request.method
        match = self._transcoder.match(method, request.path)
        if isinstance(match, Match):
            return self._serve(request, match)
        return self.refused(request, match)

    def refused(self, request: HttpRequest, allowed: Sequence[str]) -> HttpResponse:
        """Answer a request that no route serves: 404, or 405 where the path knows the other methods given."""
        if not allowed:
            return self._respond(self._unserved, partial(_unserved, Kind.NOT_FOUND), RestContext(request))
        methods = {*allowed, "OPTIONS", *(["HEAD"] if "GET" in allowed else [])}
        allow = ("Allow", ", ".join(sorted(methods)))
        if request.method == "OPTIONS":
            correlator = correlator_or_new(request.header("X_CORRELATOR"))
            return HttpResponse(204, [allow, (CORRELATOR, correlator)], b"")
        refusal = partial(_unserved, Kind.METHOD_NOT_ALLOWED)
        response = self._respond(self._unserved, refusal, RestContext(request))
        return response._replace(headers=[*response.headers, allow])

    def _serve(self, request: HttpRequest, match: Match) -> HttpResponse:
        return self._respond(
            self._behaviours[match.route.rpc],
            partial(self._decode, request, match),
            RestContext(request),
            match.route.response_body,
        )

    def _respond(
        self, behaviour: Behaviour, request: Undecoded, context: RestContext, response_body: str = ""
    ) -> HttpResponse:
        try:
            answer: Message = behaviour(request, context)
        except Aborted as aborted:
            return _error_response(aborted.call.refusal or _FAULT, context)
        return HttpResponse(200, [_JSON_HEADER, *context.headers()], self._transcoder.encode(answer, response_body))

    def _decode(self, request: HttpRequest, match: Match) -> Message:
        if not accepts_json(request.header("ACCEPT")):
            raise Refusal(Kind.NOT_ACCEPTABLE, Reason.INPUT_MALFORMED)
        body = _body(request) if match.route.body else b""
        return self._transcoder.decode(match, request.query_string, body)


def accepts_json(accept: str | None) -> bool:
    """Whether an Accept header (RFC 9110 §12.5.1) allows application/json: its most specific fitting range decides."""
    if not accept or not accept.strip():
        return True
    best, allowed = -1, False
    for element in accept.split(","):
        media_range, *parameters = (part.strip().lower() for part in element.split(";"))
        rank = _JSON_RANGES.get(media_range, -1)
        if rank > best:
            best, allowed = rank, not any(_ZERO_WEIGHT.fullmatch(parameter) for parameter in parameters)
    return allowed


def _body(request: HttpRequest) -> bytes:
    try:
        body = request.body(MAX_BODY)
    except BodyTooLarge:
        violation = Violation("", f"the body is larger than {MAX_BODY} bytes")
        raise Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=[violation]) from None
    except OSError:
        violation = Violation("", "the body did not come, or not in time")
        raise Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=[violation]) from None
    content_type = request.header("CONTENT_TYPE")
    if body and not (content_type and _JSON.fullmatch(content_type.strip())):
        raise Refusal(Kind.UNSUPPORTED_MEDIA_TYPE, Reason.INPUT_MALFORMED)
    return body


def _error_response(refusal: Refusal, context: RestContext) -> HttpResponse:
    error = errors.TABLE[refusal.kind]
    headers = [_JSON_HEADER, *context.headers()]
    if error.http_status == 401:
        # RFC 6750 §3: no error code where no token was sent.
        sent = refusal.reason is not Reason.TOKEN_MISSING
        headers.append(("WWW-Authenticate", 'Bearer error="invalid_token"' if sent else "Bearer"))
    seconds = errors.retry_after(refusal)
    if seconds is not None:
        headers.append(("Retry-After", str(seconds)))
    content = {"status": error.http_status, "code": error.code, "message": errors.message(refusal)}
    return HttpResponse(error.http_status, headers, json.dumps(content, separators=(",", ":")).encode())


def _refuse(request: Undecoded, _: grpc.ServicerContext) -> Message:
    return request()


def _unserved(kind: Kind) -> NoReturn:
    raise Refusal(kind, Reason.NO_SUCH_METHOD)
