import math

import pytest

from number_verification.domain.application import Limits
from number_verification.domain.onboarding import products
from number_verification.domain.onboarding.product import Plan, Product, ProductState
from number_verification.domain.onboarding.products import CHANGEABLE, PlanDraft, ProductDraft
from number_verification.domain.onboarding.steps import WITHDRAW_PRODUCT
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.domain.purpose import PURPOSES
from number_verification.domain.refusal import Kind, Reason
from unit.domain.onboarding.memory import MemoryRegistry
from unit.domain.onboarding.world import (
    BANK,
    FRAUD,
    NOW,
    PARTNER,
    PLAN,
    PRODUCT,
    PRODUCT_DRAFT,
    READ,
    RULES,
    STAFF,
    VERIFY,
    VERIFY_SCOPE,
    catalogue_product,
    refused,
    world,
)

READ_SCOPE = "number-verification:device-phone-number:read"


def create(draft: ProductDraft) -> Product:
    with world().writing() as writing:
        return products.create(writing, STAFF, RULES, draft, "other", NOW)


def update(registry: MemoryRegistry, draft: ProductDraft, *paths: str, etag: str = "") -> Product:
    with registry.writing() as writing:
        return products.update(writing, STAFF, RULES, PRODUCT, draft, frozenset(paths), etag, NOW)


def plan(
    plan_id: str = "basic",
    display_name: str = "Basic",
    purposes: tuple[str, ...] = (),
    scopes: tuple[str, ...] = (),
    **limits: float,
) -> PlanDraft:
    return PlanDraft(Plan(plan_id, display_name, Limits(**limits)), purposes, scopes)  # type: ignore[arg-type]


def with_plans(*plans: PlanDraft) -> ProductDraft:
    return PRODUCT_DRAFT._replace(plans=plans)


def test_the_scopes_are_those_of_the_operations() -> None:
    assert create(PRODUCT_DRAFT).scopes == {VERIFY_SCOPE}
    assert create(PRODUCT_DRAFT._replace(operations=(VERIFY, READ))).scopes == {VERIFY_SCOPE, READ_SCOPE}


def test_a_product_as_it_is_kept() -> None:
    draft = with_plans(plan(rate=0.5, burst=1, daily_quota=1, monthly_quota=2**32 - 1, purposes=(FRAUD,)), plan("b12"))
    made = create(draft)
    assert made.name == "products/other"
    assert made.state is ProductState.OFFERED
    assert made.plans == (
        Plan("basic", "Basic", Limits(0.5, 1, 1, 2**32 - 1), frozenset({FRAUD})),
        Plan("b12", "Basic", Limits()),
    )


@pytest.mark.parametrize(
    ("draft", "fields"),
    [
        (ProductDraft(), ["product.displayName", "product.operations", "product.plans", "product.purposes"]),
        (PRODUCT_DRAFT._replace(operations=("/x.Y/Z",)), ["product.operations[0]"]),
        (
            PRODUCT_DRAFT._replace(operations=(VERIFY, "/onboarding.v1.OnboardingService/GetPerson", VERIFY)),
            ["product.operations[1]", "product.operations[2]"],
        ),
        (PRODUCT_DRAFT._replace(purposes=("dpv:Whatever", FRAUD)), ["product.purposes[0]"]),
        (PRODUCT_DRAFT._replace(purposes=("dpv:Purpose",)), ["product.purposes[0]"]),
        (with_plans(plan(), plan()), ["product.plans[1].id"]),
        (with_plans(plan(display_name="")), ["product.plans[0].displayName"]),
        (with_plans(plan(rate=-1)), ["product.plans[0].rate"]),
        (with_plans(plan(rate=math.nan, burst=1)), ["product.plans[0].rate"]),
        (with_plans(plan(rate=math.inf, burst=1)), ["product.plans[0].rate"]),
        (with_plans(plan(rate=1_000_001, burst=1)), ["product.plans[0].rate"]),
        (with_plans(plan(rate=1e305, burst=1)), ["product.plans[0].rate"]),
        (with_plans(plan(rate=0.000_000_9, burst=1)), ["product.plans[0].rate"]),
        (with_plans(plan(rate=1)), ["product.plans[0].burst"]),
        (with_plans(plan(burst=1)), ["product.plans[0].burst"]),
        (with_plans(plan(purposes=("dpv:Marketing",))), ["product.plans[0].purposes[0]"]),
        (
            with_plans(plan(scopes=(READ_SCOPE, VERIFY_SCOPE, VERIFY_SCOPE))),
            ["product.plans[0].scopes[0]", "product.plans[0].scopes[2]"],
        ),
    ],
)
def test_what_is_wrong_is_said_all_at_once(draft: ProductDraft, fields: list[str]) -> None:
    with refused(Kind.INVALID_ARGUMENT, None, *fields):
        create(draft)


def test_every_purpose_that_the_vocabulary_has_is_known() -> None:
    assert create(PRODUCT_DRAFT._replace(purposes=tuple(PURPOSES))).purposes == PURPOSES
    assert len(PURPOSES) == 95
    assert all(purpose.removeprefix("dpv:").isalpha() for purpose in PURPOSES)


DIFFERENT = ProductDraft("Other", (READ,), (FRAUD, "dpv:ServiceProvision"), (PLAN,))


@pytest.mark.parametrize("path", sorted(CHANGEABLE))
def test_only_what_is_named_is_changed(path: str) -> None:
    before = catalogue_product()
    after = update(world(), DIFFERENT, path)
    different = {name for name in CHANGEABLE if getattr(before, name) != getattr(after, name)}
    assert different == {path}
    assert (after.scopes == {READ_SCOPE}) is (path == "operations")


def test_what_a_plan_narrows_must_stay_in_the_product() -> None:
    registry = world()
    registry.put(
        catalogue_product(plans=(Plan("basic", "B", Limits(), frozenset({FRAUD}), frozenset({VERIFY_SCOPE})),))
    )
    with refused(Kind.INVALID_ARGUMENT, None, "product.plans[0].purposes[0]"):
        update(registry, ProductDraft(purposes=("dpv:Marketing",)), "purposes")
    with refused(Kind.INVALID_ARGUMENT, None, "product.plans[0].scopes[0]"):
        update(registry, ProductDraft(operations=(READ,)), "operations")


@pytest.mark.parametrize("state", SubscriptionState)
def test_a_plan_does_not_go_away_under_a_subscription(state: SubscriptionState) -> None:
    registry = world()
    registry.put(Subscription(name=f"{BANK}/subscriptions/s", product=PRODUCT, plan="large", state=state))
    if state is SubscriptionState.ENDED:
        assert len(update(registry, with_plans(plan()), "plans").plans) == 1
    else:
        with refused(Kind.FAILED_PRECONDITION, Reason.PLAN_IN_USE):
            update(registry, with_plans(plan()), "plans")
        assert update(registry, with_plans(plan("large", rate=1, burst=1)), "plans").plan("large")


def test_a_withdrawn_product_can_be_changed_for_those_who_have_it() -> None:
    registry = world()
    with registry.writing() as writing:
        products.go(writing, STAFF, PRODUCT, WITHDRAW_PRODUCT, "1", NOW)
    assert update(registry, ProductDraft("Old"), "display_name", etag="2").display_name == "Old"


def test_a_stale_etag_is_refused() -> None:
    with refused(Kind.ABORTED, Reason.STALE_ETAG):
        update(world(), ProductDraft("Old"), "display_name", etag="7")


def test_the_catalogue_is_the_operators() -> None:
    with world().writing() as writing:
        with refused(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING):
            products.create(writing, PARTNER, RULES, PRODUCT_DRAFT, "other", NOW)
        with refused(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING):
            products.update(writing, PARTNER, RULES, PRODUCT, PRODUCT_DRAFT, CHANGEABLE, "", NOW)
        with refused(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING):
            products.go(writing, PARTNER, PRODUCT, WITHDRAW_PRODUCT, "", NOW)
