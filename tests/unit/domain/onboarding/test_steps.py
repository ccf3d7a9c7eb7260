"""Every state of every kind, and every step that the contract has a method for."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from number_verification.domain.application import LegalBasis
from number_verification.domain.onboarding import applications, organizations, people, products, steps, subscriptions
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.entity import Entity, State
from number_verification.domain.onboarding.organization import OrganizationState
from number_verification.domain.onboarding.person import Person, PersonRole, PersonState
from number_verification.domain.onboarding.product import ProductState
from number_verification.domain.onboarding.states import TRANSITIONS
from number_verification.domain.onboarding.steps import Step
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.domain.refusal import Kind, Reason
from unit.domain.onboarding.memory import MemoryRegistry
from unit.domain.onboarding.world import (
    BANK,
    FRAUD,
    JWKS,
    NOW,
    PRODUCT,
    STAFF,
    VERIFY_SCOPE,
    catalogue_product,
    organization,
    refused,
    world,
)

EMPTY = "organizations/empty"

ENTITIES: dict[type[State], Callable[[Any], Entity]] = {
    OrganizationState: lambda state: organization(EMPTY, state=state),
    PersonState: lambda state: Person(
        name=f"{BANK}/people/ada", display_name="A", roles=frozenset({PersonRole.USER}), client_id="a", state=state
    ),
    ProductState: lambda state: catalogue_product(state=state),
    SubscriptionState: lambda state: Subscription(
        name=f"{BANK}/subscriptions/s", product=PRODUCT, plan="basic", state=state
    ),
    ApplicationState: lambda state: RegisteredApplication(
        name=f"{BANK}/applications/app",
        display_name="App",
        client_id="c",
        jwks=JWKS,
        redirect_uris=frozenset({"https://bank.example/"}),
        scopes=frozenset({VERIFY_SCOPE}),
        purposes={FRAUD: LegalBasis.CONTRACT},
        state=state,
    ),
}
GO: dict[type[State], Any] = {
    OrganizationState: organizations.go,
    PersonState: people.go,
    ProductState: products.go,
    SubscriptionState: subscriptions.go,
    ApplicationState: applications.go,
}
STEPS = {name: step for name, step in vars(steps).items() if isinstance(step, Step)}
ONLY_FROM = {
    "ACTIVATE_SUBSCRIPTION": SubscriptionState.REQUESTED,
    "REINSTATE_SUBSCRIPTION": SubscriptionState.SUSPENDED,
    "ACTIVATE_APPLICATION": ApplicationState.REGISTERED,
    "REINSTATE_APPLICATION": ApplicationState.SUSPENDED,
}


def stored(entity: Entity) -> MemoryRegistry:
    registry = world()
    registry.put(entity)
    return registry


LIVES = {
    OrganizationState: "active>suspended active>closed suspended>active suspended>closed",
    PersonState: "active>suspended active>removed suspended>active suspended>removed",
    ProductState: "offered>withdrawn",
    SubscriptionState: (
        "requested>active requested>ended active>suspended active>ended suspended>active suspended>ended"
    ),
    ApplicationState: (
        "registered>active registered>retired active>suspended active>retired suspended>active suspended>retired"
    ),
}


@pytest.mark.parametrize("kind", TRANSITIONS)
def test_every_transition_is_as_written_down_and_has_a_method(kind: type[State]) -> None:
    allowed = {f"{state}>{target}" for state, targets in TRANSITIONS[kind].items() for target in targets}
    assert allowed == set(LIVES[kind].split())
    assert set(TRANSITIONS[kind]) == set(kind)
    reachable = {
        f"{state}>{step.target}"
        for step in STEPS.values()
        if type(step.target) is kind
        for state in kind
        if step.target in TRANSITIONS[kind][state] and step.source in (None, state)
    }
    assert reachable == allowed


@pytest.mark.parametrize(
    ("name", "state"), [(name, state) for name, step in STEPS.items() for state in type(step.target)]
)
def test_state_and_step(name: str, state: State) -> None:
    step, kind = STEPS[name], type(state)
    entity = ENTITIES[kind](state)
    allowed = f"{state}>{step.target}" in LIVES[kind].split() and ONLY_FROM.get(name, state) is state
    with stored(entity).writing() as writing:
        if allowed:
            now = GO[kind](writing, STAFF, entity.name, step, "1", NOW)
            assert (now.state, now.revision, now.updated) == (step.target, 2, NOW)
            assert writing.find(type(entity), entity.name) == now
        else:
            with refused(Kind.FAILED_PRECONDITION, Reason.STATE_NOT_ALLOWED, "state"):
                GO[kind](writing, STAFF, entity.name, step, "", NOW)
            assert writing.find(type(entity), entity.name) == replace(entity, revision=1)


@pytest.mark.parametrize("name", STEPS)
def test_a_stale_etag_is_refused_before_the_state_is_looked_at(name: str) -> None:
    kind = type(STEPS[name].target)
    for state in kind:
        entity = ENTITIES[kind](state)
        with stored(entity).writing() as writing, refused(Kind.ABORTED, Reason.STALE_ETAG, "etag"):
            GO[kind](writing, STAFF, entity.name, STEPS[name], "2", NOW)


@pytest.mark.parametrize("name", STEPS)
def test_what_is_not_there_cannot_go_anywhere(name: str) -> None:
    kind = type(STEPS[name].target)
    missing = ENTITIES[kind](next(iter(kind))).name + "-other"
    with world().writing() as writing, refused(Kind.NOT_FOUND, Reason.NO_SUCH_ENTITY):
        GO[kind](writing, STAFF, missing, STEPS[name], "", NOW)
