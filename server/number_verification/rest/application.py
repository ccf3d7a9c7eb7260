"""The WSGI application: the API's routes, and beside them what is no call of the API (OAuth, discovery, documents)."""

import time
from collections.abc import Iterable, Mapping

from number_verification import errors, log, metrics
from number_verification.authorization import note as notes
from number_verification.authorization.note import Note
from number_verification.authorization.oauth import MAX_FORM, OAuthError, error_response, json_response
from number_verification.domain import clock
from number_verification.domain.audit import OK, AuditKind, AuditLog, AuditRecord
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.interceptors.call import CORRELATOR
from number_verification.interceptors.correlator import correlator_or_new
from number_verification.rest.api import RestApi
from number_verification.rest.forms import FormReader, NoPlace
from number_verification.rest.http import Environ, Handler, HttpRequest, HttpResponse, StartResponse
from number_verification.rest.turns import Turns

PATIENCE = 1.0
"""Seconds that a request waits for its turn before it is answered 503."""


class HttpApplication:
    """Everything that is served by HTTP.

    Args:
        api: the calls of the API.
        endpoints: what else there is: handlers by path and method.
        threads: how many requests are worked on at the same time. The HTTP server has more threads than that; the rest
            of them wait here, and turn requests away when the wait gets long.
    """

    def __init__(self, api: RestApi, endpoints: Mapping[str, Mapping[str, Handler]], threads: int) -> None:
        self._api = api
        self._endpoints = endpoints
        self._forms = FormReader(MAX_FORM)
        self._turns = Turns(threads)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        request = HttpRequest(environ, self._turns)
        try:
            if request.method == "POST" and request.path in self._endpoints:
                self._forms.read(request)
        except NoPlace:
            return _turned_away(request).send(start_response)
        if not self._turns.take(PATIENCE):
            return _turned_away(request).send(start_response)
        try:
            return self._respond(request).send(start_response)
        except Exception as exception:  # noqa: BLE001 - whatever it is, it must not reach the caller
            log.fault("fault", exception)
            return _unexpected(request, Kind.INTERNAL).send(start_response)
        finally:
            self._turns.give_back()

    def _respond(self, request: HttpRequest) -> HttpResponse:
        endpoint = self._endpoints.get(request.path)
        if endpoint is None:
            return self._api(request)
        handler = endpoint.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            return self._api.refused(request, tuple(endpoint))
        response = handler(request)
        if any(name == CORRELATOR for name, _ in response.headers):
            return response
        return response._replace(
            headers=[*response.headers, (CORRELATOR, correlator_or_new(request.header("X_CORRELATOR")))]
        )


def oauth_endpoint(name: str, kind: AuditKind, handler: Handler, audit: AuditLog) -> Handler:
    """An endpoint of the authorization server: its errors answered, its outcome written down.

    Args:
        name: in the log, in metrics, and as the operation of audit records.
        kind: of its audit records.
        handler: what serves it.
        audit: where its outcome is recorded; what cannot be recorded is not given out.
    """

    def respond(request: HttpRequest) -> HttpResponse:
        started = time.perf_counter()
        correlator = correlator_or_new(request.header("X_CORRELATOR"))
        error: OAuthError | None = None
        note = notes.begin()
        try:
            response = handler(request)
        except Exception as exception:  # noqa: BLE001 - whatever it is, it must not reach the caller
            error = _as_oauth_error(exception, correlator)
            response = error_response(error)
        if not _recorded(audit, kind, name, correlator, note, error) and error is None:
            if note.withheld is not None:
                note.withheld()
            error = _unavailable(Reason.AUDIT_UNAVAILABLE)
            error.redirect = note.redirect and note.redirect(error)
            response = error_response(error)
        code, reason = (error.error, error.reason.value) if error else ("", "")
        application = note.application
        log.event(
            "authorization",
            endpoint=name,
            correlator=correlator,
            error=code,
            reason=reason,
            application=application.name if application else "",
            customer=application.customer if application else "",
            channel_partner=application.channel_partner if application else "",
            principal=note.principal,
            microseconds=int((time.perf_counter() - started) * 1e6),
        )
        metrics.authorizations.labels(name, code, reason).inc()
        if application is not None:
            names = (application.name, application.customer, application.channel_partner)
            metrics.application_calls.labels(*names, name, code or OK).inc()
        return response._replace(headers=[*response.headers, (CORRELATOR, correlator)])

    return respond


def _recorded(
    audit: AuditLog, kind: AuditKind, name: str, correlator: str, note: Note, error: OAuthError | None
) -> bool:
    application = note.application
    record = AuditRecord(
        clock.now(),
        kind,
        correlator,
        name,
        "http",
        error.error if error else OK,
        error.reason.value if error else "",
        client_id=application.client_id if application else "",
        application=application.name if application else "",
        customer=application.customer if application else "",
        channel_partner=application.channel_partner if application else "",
        principal=note.principal,
        method=note.method.value if note.method else "",
        purpose=note.purpose,
    )
    try:
        audit.record(record, note.phone_number)
    except Exception as exception:  # noqa: BLE001 - whatever it is, the request was not recorded
        log.fault("audit_unavailable", exception, correlator=correlator, message=errors.operator_text(exception))
        return False
    return True


def _as_oauth_error(exception: Exception, correlator: str) -> OAuthError:
    if isinstance(exception, OAuthError):
        return exception
    if isinstance(exception, Refusal) and exception.retry_after is not None:
        return _unavailable(exception.reason)
    log.fault("fault", exception, correlator=correlator, message=errors.operator_text(exception))
    if isinstance(exception, StoreUnavailable):
        return _unavailable(errors.as_refusal(exception).reason)
    return OAuthError("server_error", "something went wrong on our side", Reason.FAULT, status=500)


def _unavailable(reason: Reason) -> OAuthError:
    return OAuthError("temporarily_unavailable", "try again later", reason, status=503, retry_after=1)


def _turned_away(request: HttpRequest) -> HttpResponse:
    metrics.overload.labels("rest").inc()
    return _unexpected(request, Kind.UNAVAILABLE)


def _unexpected(request: HttpRequest, kind: Kind) -> HttpResponse:
    """An answer that no interceptor framed."""
    error = errors.TABLE[kind]
    content = {"status": error.http_status, "code": error.code, "message": error.message}
    headers = [(CORRELATOR, correlator_or_new(request.header("X_CORRELATOR")))]
    if kind is Kind.UNAVAILABLE:
        headers.append(("Retry-After", str(errors.DEFAULT_RETRY_AFTER)))
    return json_response(content, error.http_status, headers)
