"""3. Errors: what a caller is told of a refusal, and of anything that went wrong."""

from collections.abc import Callable
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor
from grpc_status import rpc_status

from number_verification import errors, log
from number_verification.domain.refusal import Reason
from number_verification.interceptors.call import CORRELATOR, current


class ErrorsInterceptor(ServerInterceptor):
    """Turns exceptions into the rows of the error table. Nothing else about them reaches the caller."""

    def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: grpc.ServicerContext, method_name: str
    ) -> Any:
        """Serve the call; end it with a status if it raises."""
        try:
            return method(request_or_iterator, context)
        except Exception as exception:  # noqa: BLE001 - whatever it is, it must not reach the caller
            call = current.get()
            call.refusal = errors.as_refusal(exception)
            if call.refusal.reason in (Reason.FAULT, Reason.STORE_FULL, Reason.STORE_UNAVAILABLE):
                log.fault("fault", exception, correlator=call.correlator, message=errors.operator_text(exception))
            status = rpc_status.to_status(errors.rpc_status(call.refusal))
            metadata = (*status.trailing_metadata, (CORRELATOR, call.correlator))
            context.abort_with_status(status._replace(trailing_metadata=metadata))  # type: ignore[attr-defined]
