"""Calls of the internal services: each with a deadline, and sent again only where that is safe."""

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, cast

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from number_verification.administration import contract
from number_verification.administration.failure import Exit, Failure

PAUSES = (0.2, 1.0)
"""Seconds before each further try."""
MAX_PAGE = 1000
"""What the contract gives at once."""

_TO_BE_TRIED_AGAIN = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class Api:
    """The internal services, as somebody.

    Args:
        channel: to the internal listener.
        token: gives an access token; None where the client certificate says who calls.
        timeout: seconds that one try may take.
    """

    def __init__(self, channel: grpc.Channel, token: Callable[[], str] | None, timeout: float) -> None:
        self._channel = channel
        self._token = token
        self._timeout = timeout
        self.correlator = str(uuid.uuid4())
        """One for all calls of a command, so that the operator finds them together."""

    def call(self, method: MethodDescriptor, request: Message) -> Message:
        """Call a method. A request id (AIP-155) is filled in where there is none, which makes further tries safe.

        Raises:
            Failure: refused, or not reached.
        """
        repeatable = contract.only_reads(method)
        if "request_id" in method.input_type.fields_by_name:
            request.request_id = request.request_id or str(uuid.uuid4())  # type: ignore[attr-defined]
            repeatable = True
        send: Any = self._channel.unary_unary(f"/{method.containing_service.full_name}/{method.name}", None, None)
        content = request.SerializeToString()
        for pause in (*(PAUSES if repeatable else ()), None):
            try:
                answer = send(content, timeout=self._timeout, metadata=self._metadata())
            except grpc.RpcError as error:
                code = cast("grpc.Call", error).code()
                if pause is None or code not in _TO_BE_TRIED_AGAIN:
                    self._fail(cast("grpc.Call", error))
                time.sleep(pause)
            else:
                break
        try:
            response = contract.new(method.output_type)
            response.MergeFromString(answer)
        except DecodeError:
            raise Failure("the answer does not keep to the contract", Exit.REFUSED) from None
        return response

    def pages(self, method: MethodDescriptor, request: Message, limit: int | None) -> Iterator[Message]:
        """What a list method lists, page after page.

        Args:
            method: whose answers have one repeated field and a `next_page_token` (AIP-158).
            request: for the first page.
            limit: how many at most; None for all.

        Raises:
            Failure: refused, or not reached.
        """
        paged: Any = request
        listed = next(field.name for field in method.output_type.fields if field.is_repeated)
        left = limit
        while left is None or left > 0:
            if left is not None and not paged.page_size:
                paged.page_size = min(left, MAX_PAGE)
            response: Any = self.call(method, paged)
            for item in list(getattr(response, listed))[:left]:
                yield item
                left = None if left is None else left - 1
            if not response.next_page_token:
                return
            paged.page_token = response.next_page_token

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        correlator = ("x-correlator", self.correlator)
        return (correlator,) if self._token is None else (("authorization", f"Bearer {self._token()}"), correlator)

    def _fail(self, ended: grpc.Call) -> NoReturn:
        code, violations = ended.code(), _violations(ended)
        # The text names the violations too, all in one line; where they stand below, once is enough.
        text = "" if violations else f": {ended.details() or 'no further words'}"
        again = code in _TO_BE_TRIED_AGAIN
        message = f"{'not reached' if again else 'refused'}: {code.name}{text} (x-correlator {self.correlator})"
        raise Failure(message, Exit.NOT_REACHABLE if again else Exit.REFUSED, violations, code.name)


def _violations(ended: grpc.Call) -> list[str]:
    try:
        status = rpc_status.from_call(ended) or status_pb2.Status()
    except (ValueError, DecodeError):
        return []
    found = []
    for detail in status.details:
        request = error_details_pb2.BadRequest()
        if detail.Is(request.DESCRIPTOR) and detail.Unpack(request):
            found += [f"{each.field}: {each.description}" for each in request.field_violations]
    return found
