"""What all methods of the onboarding service do: transactions, request ids, pages."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from google.protobuf.message import Message

from number_verification.domain.clock import Clock, Milliseconds
from number_verification.domain.onboarding import reach
from number_verification.domain.onboarding.entity import Entity, State
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.refusals import invalid
from number_verification.domain.onboarding.steps import Step
from number_verification.interceptors.call import current
from number_verification.registry.store import Reading, Registry, Writing
from number_verification.services.page_tokens import PageTokens
from number_verification.services.request_ids import once

E = TypeVar("E", bound=Entity)
E_co = TypeVar("E_co", bound=Entity, covariant=True)
M = TypeVar("M", bound=Message)
R = TypeVar("R")

DEFAULT_PAGE, MAX_PAGE = 100, 1000

MAX_PAGE_BYTES = 2 << 20
"""gRPC clients take answers of 4 MiB by default. What one customer registers must not keep others from listing."""

ALL_ORGANIZATIONS = "organizations/-"
"""The parent of all that is within reach (AIP-159)."""


class Go(Protocol[E_co]):
    """The use case that takes an entity to another state."""

    def __call__(
        self, writing: Writing, principal: Principal, name: str, step: Step, etag: str, now: Milliseconds, /
    ) -> E_co:
        """Return the entity as it is now."""
        ...


class OnboardingCalls:
    """Serves calls by use cases.

    Args:
        registry: what they read and write.
        page_tokens: for listings.
        clock: the current instant.
    """

    def __init__(self, registry: Registry, page_tokens: PageTokens, clock: Clock) -> None:
        self._registry = registry
        self.page_tokens = page_tokens
        self._clock = clock

    def write(
        self,
        request: Any,
        response_class: type[M],
        use_case: Callable[[Writing, Principal, Milliseconds], E],
        message: Callable[[E], Message],
    ) -> M:
        """Serve a request that writes, in one transaction, at most once if it has a request id.

        Args:
            request: the request.
            response_class: its answer, which has one field: the resource.
            use_case: does it.
            message: the entity as the contract shows it.
        """
        principal, now = _principal(), self._clock()
        with self._registry.writing() as writing:
            response = once(
                writing,
                principal.name,
                request,
                response_class,
                lambda: answer(response_class, message(use_case(writing, principal, now))),
                now,
            )
        # What was created had no name before.
        current.get().resource = _resource(response).name
        return response

    def step(self, request: Any, response_class: type[M], go: Go[E], step: Step, message: Callable[[E], Message]) -> M:
        """Serve a request that takes an entity to another state. See `write`."""
        return self.write(
            request,
            response_class,
            lambda writing, principal, now: go(writing, principal, request.name, step, request.etag, now),
            message,
        )

    def read(self, use_case: Callable[[Reading, Principal], R]) -> R:
        """Serve a request that reads."""
        with self._registry.reading() as reading:
            return use_case(reading, _principal())

    def owned(self, kind: type[E], name: str) -> E:
        """An entity that belongs to an organization within the caller's reach."""
        return self.read(lambda reading, principal: reach.within(reading, principal, kind, name)[1])

    def page(
        self, request: Any, kind: type[E], state: State | None, message: Callable[[E], M], parent: str = ""
    ) -> tuple[Sequence[M], str]:
        """One page of entities as the contract shows them, and the token of the next; empty after the last.

        Args:
            request: the request, with its `page_size` and `page_token`.
            kind: what is listed.
            state: only those in this state; None for any.
            message: the entity as the contract shows it.
            parent: of which organization; empty for all within reach.
        """
        listing = (request.DESCRIPTOR.full_name, parent, state or "")
        size, after = page_size(request), self.page_tokens.last(request.page_token, *listing)
        found = self.read(
            lambda reading, principal: reach.page(
                reading, principal, kind, parent=within(parent), state=state, after=after, limit=size + 1
            )
        )
        shown = list(_fitting(map(message, found[:size])))
        more = self.page_tokens.token(found[len(shown) - 1].name, *listing) if len(found) > len(shown) else ""
        return shown, more


def _fitting(messages: Iterator[M]) -> Iterator[M]:
    """The messages that one answer has room for: at least the first, if there is one."""
    size = 0
    for message in messages:
        size += message.ByteSize()
        if size > MAX_PAGE_BYTES and size > message.ByteSize():
            return
        yield message


def answer(response_class: type[M], resource: Message) -> M:
    """A response that holds a resource in its only field."""
    response = response_class()
    _resource(response).CopyFrom(resource)
    return response


def _resource(response: Message) -> Any:
    return getattr(response, response.DESCRIPTOR.fields[0].name)


def within(parent: str) -> str:
    """The organization that a parent names; empty for all within reach."""
    return "" if parent == ALL_ORGANIZATIONS else parent


def page_size(request: Any) -> int:
    """How many are asked for.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if request.page_size > MAX_PAGE:
        raise invalid("pageSize", f"must be at most {MAX_PAGE}")
    return int(request.page_size) or DEFAULT_PAGE


def _principal() -> Principal:
    principal = current.get().principal
    if principal is None:
        raise RuntimeError("a method for internal services was reached without a principal")
    return principal
