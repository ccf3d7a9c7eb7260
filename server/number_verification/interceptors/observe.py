"""2. Observation: one log line and the metrics of every call, once its outcome is known."""

import time
from collections.abc import Callable
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor

from number_verification import errors, log, metrics
from number_verification.domain.grant import AccessGrant
from number_verification.interceptors.call import Call, current
from number_verification.interceptors.peer import peer_address


class ObserveInterceptor(ServerInterceptor):
    """Writes down what became of a call, and why, for the operator.

    Args:
        transport: `grpc` or `rest`, told by the context.
        known_methods: methods that may become a metric label; any other name is written by a caller.
    """

    def __init__(self, known_methods: frozenset[str]) -> None:
        self._known_methods = known_methods
        self._counters: dict[tuple[str, str, str, str], Any] = {}
        self._application_counters: dict[tuple[str, ...], Any] = {}
        self._histograms: dict[tuple[str, str], Any] = {}

    def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: grpc.ServicerContext, method_name: str
    ) -> Any:
        """Serve the call and write it down."""
        started = time.perf_counter()
        try:
            return method(request_or_iterator, context)
        finally:
            seconds = time.perf_counter() - started
            try:
                self._write(current.get(), context, seconds)
            except Exception as exception:  # noqa: BLE001 - what cannot be written down must not change the answer
                log.fault("not_observed", exception)

    def _write(self, call: Call, context: grpc.ServicerContext, seconds: float) -> None:
        transport = getattr(context, "transport", "grpc")
        refusal = call.refusal
        code = errors.TABLE[refusal.kind].code if refusal else "OK"
        reason = refusal.reason.value if refusal else ""
        grant = call.authenticated.grant if call.authenticated else None
        method = call.method if call.method in self._known_methods else "unknown"
        log.event(
            "call",
            method=method,
            transport=transport,
            correlator=call.correlator,
            caller=call.caller,
            application=grant.application if grant else "",
            customer=grant.customer if grant else "",
            channel_partner=grant.channel_partner if grant else "",
            # Who was served is known by name. Where the others come from is worth what it costs to ask.
            peer=peer_address(context) if refusal else "",
            code=code,
            reason=reason,
            microseconds=int(seconds * 1e6),
        )
        labels = (method, transport, code, reason)
        counter = self._counters.get(labels)
        if counter is None:
            counter = self._counters[labels] = metrics.calls.labels(*labels)
        counter.inc()
        histogram = self._histograms.get(labels[:2])
        if histogram is None:
            histogram = self._histograms[labels[:2]] = metrics.call_seconds.labels(*labels[:2])
        histogram.observe(seconds)
        if grant is not None and grant.application:
            self._count_for(grant, method, code)

    def _count_for(self, grant: AccessGrant, method: str, code: str) -> None:
        labels = (grant.application, grant.customer, grant.channel_partner, method, code)
        counter = self._application_counters.get(labels)
        if counter is None:
            counter = self._application_counters[labels] = metrics.application_calls.labels(*labels)
        counter.inc()
