"""Writing entities, with what stands in the way said as a refusal."""

from typing import TypeVar

from number_verification.domain.clock import Milliseconds
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.registry.store import AlreadyExists, StaleRevision, Writing

E = TypeVar("E", bound=Entity)


def added(writing: Writing, entity: E, now: Milliseconds) -> E:
    """Keep a new entity.

    Whether a name is taken is told to whoever may create one, even if what has it is out of their reach: names are
    given once.

    Raises:
        Refusal: ALREADY_EXISTS.
    """
    try:
        return writing.add(entity, now)
    except AlreadyExists:
        raise Refusal(Kind.ALREADY_EXISTS, Reason.NAME_TAKEN, violations=[Violation("", "the name is taken")]) from None


def replaced(writing: Writing, entity: E, now: Milliseconds) -> E:
    """Put a changed entity in its place.

    Raises:
        Refusal: ABORTED: it was changed since it was read. Cannot be, as long as transactions are serialized.
    """
    try:
        return writing.replace(entity, now)
    except StaleRevision:
        raise Refusal(Kind.ABORTED, Reason.STALE_ETAG) from None
