"""Audit: one record of every call, before its answer is out.

Stands just inside of the errors interceptor: it sees what becomes of a call, and what it raises becomes an answer.
"""

from collections.abc import Callable
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor

from number_verification import errors, log
from number_verification.domain.audit import OK, AuditKind, AuditLog, AuditRecord
from number_verification.domain.clock import Clock
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.interceptors.call import Call, current


class AuditInterceptor(ServerInterceptor):
    """Records calls. One that cannot be recorded is not answered; a refusal stays the refusal that it is.

    Args:
        audit: where records are written.
        known_methods: methods that are recorded by their name; any other name is written by a caller.
        clock: wall-clock time.
    """

    def __init__(self, audit: AuditLog, known_methods: frozenset[str], clock: Clock) -> None:
        self._audit = audit
        self._known_methods = known_methods
        self._clock = clock

    def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: grpc.ServicerContext, method_name: str
    ) -> Any:
        """Serve the call and record it."""
        try:
            answer = method(request_or_iterator, context)
        except Exception as exception:
            refusal = errors.as_refusal(exception)
            self._recorded(context, errors.TABLE[refusal.kind].code, refusal.reason.value)
            raise
        if not self._recorded(context, OK, ""):
            raise Refusal(Kind.UNAVAILABLE, Reason.AUDIT_UNAVAILABLE)
        return answer

    def _recorded(self, context: grpc.ServicerContext, outcome: str, reason: str) -> bool:
        call = current.get()
        try:
            self._record(call, getattr(context, "transport", "grpc"), outcome, reason)
        except Exception as exception:  # noqa: BLE001 - whatever it is, the call was not recorded
            message = errors.operator_text(exception)
            log.fault("audit_unavailable", exception, correlator=call.correlator, message=message)
            return False
        return True

    def _record(self, call: Call, transport: str, outcome: str, reason: str) -> None:
        time = self._clock()
        operation = call.method if call.method in self._known_methods else "unknown"
        authenticated = call.authenticated
        if authenticated is None:
            record = AuditRecord(
                time,
                AuditKind.CALL,
                call.correlator,
                operation,
                transport,
                outcome,
                reason,
                principal=call.caller,
                resource=call.resource,
            )
            self._audit.record(record, call.phone_number)
            return
        grant = authenticated.grant
        record = AuditRecord(
            time,
            AuditKind.CALL,
            call.correlator,
            operation,
            transport,
            outcome,
            reason,
            grant.client_id,
            grant.application,
            grant.customer,
            grant.channel_partner,
            "",
            "",
            grant.method.value,
            grant.purpose,
        )
        self._audit.record(record, authenticated.subscriber.phone_number)
