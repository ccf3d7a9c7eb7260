"""Request ids (AIP-155): a request that is sent again gets the answer that it got the first time."""

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message

from number_verification.domain.clock import Milliseconds
from number_verification.domain.onboarding.refusals import invalid
from number_verification.registry.store import Answer, Writing

M = TypeVar("M", bound=Message)


def once(
    writing: Writing, caller: str, request: Any, response_class: type[M], serve: Callable[[], M], now: Milliseconds
) -> M:
    """The answer to a request: the one that was kept, or a new one, kept in the transaction that does what it says.

    Transactions are serialized, so that of two that arrive together the second finds the answer of the first.
    A refusal is not kept: nothing was done, and the next attempt may succeed.

    Args:
        writing: the transaction.
        caller: who asks; another caller's request ids are others.
        request: the request, with its `request_id`, perhaps empty.
        response_class: what the request is answered with.
        serve: does what is asked.
        now: the current instant.

    Raises:
        Refusal: INVALID_ARGUMENT: the caller used the id for another request.
    """
    if not request.request_id:
        return serve()
    digest = hashlib.sha256(
        request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)
    ).digest()
    kept = writing.answer_to(caller, request.request_id)
    if kept is None:
        response = serve()
        writing.keep_answer(caller, request.request_id, Answer(digest, response.SerializeToString()), now)
        return response
    if kept.digest != digest:
        raise invalid("requestId", "was used for another request")
    response = response_class()
    response.ParseFromString(kept.content)
    return response
