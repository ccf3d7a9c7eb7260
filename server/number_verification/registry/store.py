"""What a registry must do. The docstrings are the contract; `tests/conformance` holds every engine to it."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeVar

from number_verification.domain.allowance import Shortage
from number_verification.domain.application import Limits
from number_verification.domain.clock import Milliseconds
from number_verification.domain.onboarding.entity import Entity, State

E = TypeVar("E", bound=Entity)


class AlreadyExists(Exception):
    """An entity has the name, or a client the client id, already."""


class StaleRevision(Exception):
    """Somebody else changed the entity since it was read."""


class Answer(NamedTuple):
    """An answer that was given to a request with a request id (AIP-155)."""

    digest: bytes
    """SHA-256 of the request."""
    content: bytes
    """The response, serialized."""


class Changes(NamedTuple):
    """What was written since a point in the life of the registry."""

    change: int
    """The point up to which this goes: every write that it counts is in here, and no other."""
    entities: Sequence[Entity]
    """As they stand at that point, each once."""


class Reading(Protocol):
    """A view of the registry that does not change while it is open."""

    def find(self, kind: type[E], name: str) -> E | None:
        """The entity with this name; None if there is none."""
        ...

    def page(
        self,
        kind: type[E],
        *,
        parent: str = "",
        reach: str = "",
        state: State | None = None,
        after: str = "",
        limit: int,
    ) -> Sequence[E]:
        """Up to `limit` entities in the order of their names.

        Args:
            kind: of which kind.
            parent: only those that belong to this organization; empty for any.
            reach: only the organization of this name, the customers that come through it, and what belongs to these;
                empty for all. Products are within everybody's reach.
            state: only those in this state; None for any.
            after: only those whose name comes after this one.
            limit: at least 1.
        """
        ...


class Writing(Reading, Protocol):
    """A transaction: all of it is kept when it ends, or nothing if it ends with an exception. Sees its own writes."""

    def add(self, entity: E, now: Milliseconds) -> E:
        """Keep a new entity. Returns it as it is stored.

        Raises:
            AlreadyExists: its name or its client id is taken.
        """
        ...

    def replace(self, entity: E, now: Milliseconds) -> E:
        """Put a changed entity in the place of the one with the same name and revision. Returns it as it is stored.

        Raises:
            StaleRevision: the stored one has another revision by now (or another client id: that never changes), or
                there is none.
        """
        ...

    def answer_to(self, caller: str, request_id: str) -> Answer | None:
        """The answer that was kept for a caller's request id; None if there is none."""
        ...

    def keep_answer(self, caller: str, request_id: str, answer: Answer, now: Milliseconds) -> None:
        """Keep the answer to a request, for at least a day."""
        ...


class Registry(Protocol):
    """Keeps who is served and on what terms. Safe for threads and processes, and with PostgreSQL for nodes.

    Names are compared byte by byte; their order is that of their bytes on every engine. What was committed stays,
    whatever process dies. Writes are serialized: their order is that of `Changes.change`.

    All methods raise StoreUnavailable (StoreFull where there is no room), and then nothing was done.
    """

    def reading(self) -> AbstractContextManager[Reading]:
        """Open a view."""
        ...

    def writing(self) -> AbstractContextManager[Writing]:
        """Begin a transaction."""
        ...

    def change(self) -> int:
        """How many transactions have written so far. Cheap: asked several times a second by every process."""
        ...

    def changes(self, since: int) -> Changes:
        """All entities written after a point; everything for 0."""
        ...

    def probe(self) -> None:
        """Raise unless the registry can be written."""
        ...

    def close(self) -> None:
        """Release what the registry holds. Nothing may be called after it."""
        ...


class Allowances(Protocol):
    """Counts the tokens that applications are given. Exact across threads, processes and nodes.

    Both methods raise StoreUnavailable, and then nothing was counted.
    """

    def spend(self, client_id: str, limits: Limits, now: Milliseconds) -> Shortage | None:
        """Count one token, if every limit has room for it.

        Of any number of simultaneous callers no more than the limits allow get None. Days and months are those of
        UTC. A clock that was set back gives nothing twice.
        """
        ...

    def refund(self, client_id: str, limits: Limits, counted: Milliseconds) -> None:
        """Take back one token that was counted at an instant and not given.

        `counted` is the `now` that `spend` was given: a day's quota does not grow by what was spent on another day.
        """
        ...
