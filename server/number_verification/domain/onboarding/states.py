"""The state machines of the registry: which state may follow which. What is not listed is not allowed."""

from collections.abc import Mapping

from number_verification.domain.onboarding.application import ApplicationState
from number_verification.domain.onboarding.entity import State
from number_verification.domain.onboarding.organization import OrganizationState
from number_verification.domain.onboarding.person import PersonState
from number_verification.domain.onboarding.product import ProductState
from number_verification.domain.onboarding.subscription import SubscriptionState

TRANSITIONS: Mapping[type[State], Mapping[State, frozenset[State]]] = {
    OrganizationState: {
        OrganizationState.ACTIVE: frozenset({OrganizationState.SUSPENDED, OrganizationState.CLOSED}),
        OrganizationState.SUSPENDED: frozenset({OrganizationState.ACTIVE, OrganizationState.CLOSED}),
        OrganizationState.CLOSED: frozenset(),
    },
    PersonState: {
        PersonState.ACTIVE: frozenset({PersonState.SUSPENDED, PersonState.REMOVED}),
        PersonState.SUSPENDED: frozenset({PersonState.ACTIVE, PersonState.REMOVED}),
        PersonState.REMOVED: frozenset(),
    },
    ProductState: {
        ProductState.OFFERED: frozenset({ProductState.WITHDRAWN}),
        ProductState.WITHDRAWN: frozenset(),
    },
    SubscriptionState: {
        SubscriptionState.REQUESTED: frozenset({SubscriptionState.ACTIVE, SubscriptionState.ENDED}),
        SubscriptionState.ACTIVE: frozenset({SubscriptionState.SUSPENDED, SubscriptionState.ENDED}),
        SubscriptionState.SUSPENDED: frozenset({SubscriptionState.ACTIVE, SubscriptionState.ENDED}),
        SubscriptionState.ENDED: frozenset(),
    },
    ApplicationState: {
        ApplicationState.REGISTERED: frozenset({ApplicationState.ACTIVE, ApplicationState.RETIRED}),
        ApplicationState.ACTIVE: frozenset({ApplicationState.SUSPENDED, ApplicationState.RETIRED}),
        ApplicationState.SUSPENDED: frozenset({ApplicationState.ACTIVE, ApplicationState.RETIRED}),
        ApplicationState.RETIRED: frozenset(),
    },
}
"""By kind, because states are text: the ACTIVE of one kind equals that of another."""


def following(state: State) -> frozenset[State]:
    """The states that may come after one."""
    return TRANSITIONS[type(state)][state]
