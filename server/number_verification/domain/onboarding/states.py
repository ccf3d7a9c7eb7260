"""The state machines of the registry: which state may follow which. What is not listed is not allowed."""

from collections.abc import Mapping
from typing import TypeVar

from number_verification.domain.onboarding.application import ApplicationState
from number_verification.domain.onboarding.entity import State
from number_verification.domain.onboarding.organization import OrganizationState
from number_verification.domain.onboarding.person import PersonState
from number_verification.domain.onboarding.product import ProductState
from number_verification.domain.onboarding.subscription import SubscriptionState

S = TypeVar("S", bound=State)

TRANSITIONS: Mapping[State, frozenset[State]] = {
    OrganizationState.ACTIVE: frozenset({OrganizationState.SUSPENDED, OrganizationState.CLOSED}),
    OrganizationState.SUSPENDED: frozenset({OrganizationState.ACTIVE, OrganizationState.CLOSED}),
    OrganizationState.CLOSED: frozenset(),
    PersonState.ACTIVE: frozenset({PersonState.SUSPENDED, PersonState.REMOVED}),
    PersonState.SUSPENDED: frozenset({PersonState.ACTIVE, PersonState.REMOVED}),
    PersonState.REMOVED: frozenset(),
    ProductState.OFFERED: frozenset({ProductState.WITHDRAWN}),
    ProductState.WITHDRAWN: frozenset(),
    SubscriptionState.REQUESTED: frozenset({SubscriptionState.ACTIVE, SubscriptionState.ENDED}),
    SubscriptionState.ACTIVE: frozenset({SubscriptionState.SUSPENDED, SubscriptionState.ENDED}),
    SubscriptionState.SUSPENDED: frozenset({SubscriptionState.ACTIVE, SubscriptionState.ENDED}),
    SubscriptionState.ENDED: frozenset(),
    ApplicationState.REGISTERED: frozenset({ApplicationState.ACTIVE, ApplicationState.RETIRED}),
    ApplicationState.ACTIVE: frozenset({ApplicationState.SUSPENDED, ApplicationState.RETIRED}),
    ApplicationState.SUSPENDED: frozenset({ApplicationState.ACTIVE, ApplicationState.RETIRED}),
    ApplicationState.RETIRED: frozenset(),
}


def may_follow(state: S, following: S) -> bool:
    """Whether an entity in one state may go over to another."""
    return following in TRANSITIONS[state]
