"""The steps from state to state that the contract has methods for, and what may be changed in which state."""

from typing import Any, NamedTuple

from number_verification.domain.onboarding.application import ApplicationState
from number_verification.domain.onboarding.entity import Entity, State
from number_verification.domain.onboarding.organization import OrganizationState
from number_verification.domain.onboarding.person import PersonState
from number_verification.domain.onboarding.product import ProductState
from number_verification.domain.onboarding.refusals import blocked
from number_verification.domain.onboarding.states import following
from number_verification.domain.onboarding.subscription import SubscriptionState
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation


class Step(NamedTuple):
    """One step."""

    target: State
    source: State | None = None
    """The only state that it begins in; None for any that `TRANSITIONS` allows."""

    @property
    def gives(self) -> bool:
        """Whether the entity is served afterwards."""
        return self.target in (
            OrganizationState.ACTIVE,
            PersonState.ACTIVE,
            SubscriptionState.ACTIVE,
            ApplicationState.ACTIVE,
        )


SUSPEND_ORGANIZATION = Step(OrganizationState.SUSPENDED)
REINSTATE_ORGANIZATION = Step(OrganizationState.ACTIVE)
CLOSE_ORGANIZATION = Step(OrganizationState.CLOSED)
SUSPEND_PERSON = Step(PersonState.SUSPENDED)
REINSTATE_PERSON = Step(PersonState.ACTIVE)
REMOVE_PERSON = Step(PersonState.REMOVED)
WITHDRAW_PRODUCT = Step(ProductState.WITHDRAWN)
ACTIVATE_SUBSCRIPTION = Step(SubscriptionState.ACTIVE, SubscriptionState.REQUESTED)
SUSPEND_SUBSCRIPTION = Step(SubscriptionState.SUSPENDED)
REINSTATE_SUBSCRIPTION = Step(SubscriptionState.ACTIVE, SubscriptionState.SUSPENDED)
END_SUBSCRIPTION = Step(SubscriptionState.ENDED)
ACTIVATE_APPLICATION = Step(ApplicationState.ACTIVE, ApplicationState.REGISTERED)
SUSPEND_APPLICATION = Step(ApplicationState.SUSPENDED)
REINSTATE_APPLICATION = Step(ApplicationState.ACTIVE, ApplicationState.SUSPENDED)
RETIRE_APPLICATION = Step(ApplicationState.RETIRED)


def require_step(state: State, step: Step) -> None:
    """Refuse a step that the state does not allow; a step to the state that there is already is none.

    Raises:
        Refusal: FAILED_PRECONDITION.
    """
    if step.target not in following(state) or step.source not in (None, state):
        raise blocked(Reason.STATE_NOT_ALLOWED, Violation("state", f"is {state}, which does not allow this"))


def require_changeable(state: State) -> None:
    """Refuse to change what has come to its end: it is kept as it was, for the record.

    A withdrawn product is still subscribed to, so it can be changed.

    Raises:
        Refusal: FAILED_PRECONDITION.
    """
    if not following(state) and state is not ProductState.WITHDRAWN:
        raise blocked(Reason.STATE_NOT_ALLOWED, Violation("state", f"is {state}, so nothing can be changed any more"))


def etag(entity: Entity) -> str:
    """What an entity is called in requests that must not undo somebody else's change (AIP-154)."""
    return str(entity.revision)


def require_etag(entity: Entity, given: str) -> None:
    """Refuse a caller that read another revision. Without an etag the caller takes it as it is.

    Raises:
        Refusal: ABORTED.
    """
    if given and given != etag(entity):
        raise Refusal(
            Kind.ABORTED, Reason.STALE_ETAG, violations=[Violation("etag", "is not that of the resource as it is now")]
        )


def require_unchanged(**fields: tuple[Any, Any]) -> None:
    """Refuse another value for what cannot be changed. Where nothing is given nothing is meant.

    Args:
        fields: the stored and the given value, by the field's path in JSON (its dots as two underscores).

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    changed = [name for name, (stored, given) in fields.items() if given and given != stored]
    if changed:
        violations = [Violation(name.replace("__", "."), "cannot be changed") for name in changed]
        raise Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=violations)
