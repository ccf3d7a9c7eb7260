import pytest

from number_verification.domain.onboarding import subscriptions
from number_verification.domain.onboarding.organization import OrganizationKind, OrganizationState
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.product import ProductState
from number_verification.domain.onboarding.steps import ACTIVATE_SUBSCRIPTION, END_SUBSCRIPTION, SUSPEND_SUBSCRIPTION
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.domain.onboarding.subscriptions import SubscriptionDraft
from number_verification.domain.refusal import Kind, Reason
from unit.domain.onboarding.memory import MemoryRegistry
from unit.domain.onboarding.world import (
    ADMINISTRATOR,
    AGGREGATOR,
    BANK,
    MANAGER,
    NOW,
    PARTNER,
    PRODUCT,
    RIVAL_SHOP,
    RULES,
    SHOP,
    STAFF,
    catalogue_product,
    organization,
    refused,
    world,
)

DRAFT = SubscriptionDraft(PRODUCT, "basic")


def create(
    registry: MemoryRegistry,
    principal: Principal = MANAGER,
    draft: SubscriptionDraft = DRAFT,
    parent: str = BANK,
    subscription_id: str = "nv",
) -> Subscription:
    with registry.writing() as writing:
        return subscriptions.create(writing, principal, RULES, parent, draft, subscription_id, NOW)


def update(
    registry: MemoryRegistry, draft: SubscriptionDraft, *paths: str, principal: Principal = MANAGER
) -> Subscription:
    with registry.writing() as writing:
        return subscriptions.update(writing, principal, f"{BANK}/subscriptions/nv", draft, frozenset(paths), "", NOW)


def test_a_business_manager_requests_a_subscription() -> None:
    made = create(world())
    assert (made.name, made.product, made.plan) == (f"{BANK}/subscriptions/nv", PRODUCT, "basic")
    assert made.state is SubscriptionState.REQUESTED


def test_a_channel_partner_subscribes_for_its_customers_only() -> None:
    assert create(world(), PARTNER, parent=SHOP).parent == SHOP
    with refused(Kind.NOT_FOUND, Reason.OUT_OF_REACH):
        create(world(), PARTNER, parent=RIVAL_SHOP)


def test_an_administrator_is_no_business_manager() -> None:
    with refused(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING):
        create(world(), ADMINISTRATOR)


def test_only_customers_subscribe() -> None:
    with refused(Kind.FAILED_PRECONDITION, Reason.NOT_A_CUSTOMER, AGGREGATOR):
        create(world(), STAFF, parent=AGGREGATOR)


@pytest.mark.parametrize(
    ("draft", "fields"),
    [
        (SubscriptionDraft(), ["subscription.product", "subscription.plan"]),
        (SubscriptionDraft(PRODUCT), ["subscription.plan"]),
        (SubscriptionDraft("products/other", "basic"), ["subscription.product"]),
        (SubscriptionDraft(PRODUCT, "other"), ["subscription.plan"]),
    ],
)
def test_the_product_and_the_plan_must_exist(draft: SubscriptionDraft, fields: list[str]) -> None:
    with refused(Kind.INVALID_ARGUMENT, None, *fields):
        create(world(), draft=draft)


def test_a_withdrawn_product_has_no_new_subscriptions() -> None:
    registry = world()
    registry.put(catalogue_product(state=ProductState.WITHDRAWN))
    with refused(Kind.FAILED_PRECONDITION, Reason.STATE_NOT_ALLOWED, PRODUCT):
        create(registry)


@pytest.mark.parametrize("state", SubscriptionState)
def test_a_customer_has_one_subscription_to_a_product(state: SubscriptionState) -> None:
    registry = world()
    there = Subscription(name=f"{BANK}/subscriptions/other", product=PRODUCT, plan="large", state=state)
    registry.put(there)
    if state is SubscriptionState.ENDED:
        assert create(registry)
    else:
        with refused(Kind.ALREADY_EXISTS, Reason.ALREADY_SUBSCRIBED, there.name):
            create(registry)
    assert create(registry, PARTNER, parent=SHOP)


def test_the_plan_is_all_that_is_changed() -> None:
    registry = world()
    create(registry)
    assert update(registry, SubscriptionDraft(PRODUCT, "large"), "plan").plan == "large"
    with refused(Kind.INVALID_ARGUMENT, None, "subscription.product"):
        update(registry, SubscriptionDraft("products/other", "basic"), "plan")
    with refused(Kind.INVALID_ARGUMENT, None, "subscription.plan"):
        update(registry, SubscriptionDraft(plan="other"), "plan")
    with refused(Kind.INVALID_ARGUMENT, None, "subscription.plan"):
        update(registry, SubscriptionDraft(), "plan")
    with refused(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING):
        update(registry, SubscriptionDraft(plan="basic"), "plan", principal=ADMINISTRATOR)


def test_an_ended_subscription_stays_as_it_was() -> None:
    registry = world()
    with registry.writing() as writing:
        subscriptions.go(writing, MANAGER, create_in(writing).name, END_SUBSCRIPTION, "", NOW)
    with refused(Kind.FAILED_PRECONDITION, Reason.STATE_NOT_ALLOWED):
        update(registry, SubscriptionDraft(plan="large"), "plan")


def create_in(writing: object) -> Subscription:
    return subscriptions.create(writing, MANAGER, RULES, BANK, DRAFT, "nv", NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [OrganizationState.SUSPENDED, OrganizationState.CLOSED])
def test_under_an_organization_that_is_not_active(state: OrganizationState) -> None:
    registry = world()
    name = create(registry).name
    registry.put(organization(BANK, state=state))
    for principal in (MANAGER, STAFF):
        if principal == STAFF and state is OrganizationState.SUSPENDED:
            continue
        with refused(Kind.FAILED_PRECONDITION):
            create(registry, principal, subscription_id="other")
        with refused(Kind.FAILED_PRECONDITION):
            update(registry, SubscriptionDraft(plan="large"), "plan", principal=principal)
        with registry.writing() as writing, refused(Kind.FAILED_PRECONDITION):
            subscriptions.go(writing, principal, name, ACTIVATE_SUBSCRIPTION, "", NOW)
    with registry.writing() as writing:
        assert subscriptions.go(writing, MANAGER, name, END_SUBSCRIPTION, "", NOW)


def test_a_closed_channel_partner_has_nothing() -> None:
    registry = world()
    registry.put(organization(AGGREGATOR, kind=OrganizationKind.CHANNEL_PARTNER, state=OrganizationState.CLOSED))
    with refused(Kind.FAILED_PRECONDITION, Reason.CHANNEL_PARTNER_SUSPENDED, AGGREGATOR):
        create(registry, PARTNER, parent=SHOP)


def test_who_may_not_see_it_may_not_change_it() -> None:
    registry = world()
    name = create(registry).name
    with registry.writing() as writing, refused(Kind.NOT_FOUND, Reason.OUT_OF_REACH):
        subscriptions.go(writing, PARTNER, name, SUSPEND_SUBSCRIPTION, "", NOW)
