"""Use cases: subscriptions."""

from dataclasses import replace
from typing import NamedTuple

from number_verification.domain.clock import Milliseconds
from number_verification.domain.onboarding import reach
from number_verification.domain.onboarding.organization import OrganizationKind
from number_verification.domain.onboarding.person import PersonRole
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.product import Product, ProductState
from number_verification.domain.onboarding.refusals import blocked, invalid, refuse_violations
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.steps import (
    Step,
    require_changeable,
    require_etag,
    require_step,
    require_unchanged,
)
from number_verification.domain.onboarding.storing import added, replaced
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.registry.store import Reading, Writing

OWN_ROLES = frozenset({PersonRole.BUSINESS_MANAGER})
"""Who subscribes for their own organization."""

CHANGEABLE = frozenset({"plan"})


class SubscriptionDraft(NamedTuple):
    """What a caller says of a subscription."""

    product: str = ""
    plan: str = ""


def create(
    writing: Writing,
    principal: Principal,
    rules: Rules,
    parent: str,
    draft: SubscriptionDraft,
    subscription_id: str,
    now: Milliseconds,
) -> Subscription:
    """Request a subscription. A customer has no more than one to a product that is not ended.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT, FAILED_PRECONDITION, ALREADY_EXISTS.
    """
    organization = reach.organization(writing, principal, parent)
    reach.require_own_role(principal, organization, OWN_ROLES)
    refuse_violations(
        Violation(f"subscription.{field}", "is required") for field, value in draft._asdict().items() if not value
    )
    product = writing.find(Product, draft.product)
    if product is None:
        raise invalid("subscription.product", "is not a product of the catalogue")
    if product.plan(draft.plan) is None:
        raise _no_plan()
    reach.require_open(writing, principal, organization)
    if organization.kind is not OrganizationKind.CUSTOMER:
        raise blocked(Reason.NOT_A_CUSTOMER, Violation(organization.name, "is not a customer"))
    if product.state is not ProductState.OFFERED:
        raise blocked(Reason.STATE_NOT_ALLOWED, Violation(product.name, "is not offered any more"))
    _require_only_one(writing, parent, product.name)
    name = f"{parent}/subscriptions/{subscription_id or rules.new_id()}"
    return added(writing, Subscription(name=name, product=product.name, plan=draft.plan), now)


def update(
    writing: Writing,
    principal: Principal,
    name: str,
    draft: SubscriptionDraft,
    paths: frozenset[str],
    etag: str,
    now: Milliseconds,
) -> Subscription:
    """Change the plan of a subscription, if `paths` names it. It counts at once.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT, ABORTED, FAILED_PRECONDITION.
    """
    organization, subscription = reach.within(writing, principal, Subscription, name)
    reach.require_own_role(principal, organization, OWN_ROLES)
    require_etag(subscription, etag)
    require_unchanged(subscription__product=(subscription.product, draft.product))
    if "plan" in paths:
        product = writing.find(Product, subscription.product)
        if product is None or product.plan(draft.plan) is None:
            raise _no_plan()
        subscription = replace(subscription, plan=draft.plan)
    require_changeable(subscription.state)
    reach.require_open(writing, principal, organization)
    return replaced(writing, subscription, now)


def go(writing: Writing, principal: Principal, name: str, step: Step, etag: str, now: Milliseconds) -> Subscription:
    """Take a subscription to another state.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, ABORTED, FAILED_PRECONDITION.
    """
    organization, subscription = reach.within(writing, principal, Subscription, name)
    reach.require_own_role(principal, organization, OWN_ROLES)
    require_etag(subscription, etag)
    require_step(subscription.state, step)
    if step.gives:
        reach.require_open(writing, principal, organization)
    return replaced(writing, replace(subscription, state=SubscriptionState(step.target)), now)


def _no_plan() -> Refusal:
    return invalid("subscription.plan", "is not a plan of the product")


def _require_only_one(reading: Reading, parent: str, product: str) -> None:
    for other in reach.every(reading, Subscription, parent=parent):
        if other.product == product and other.state is not SubscriptionState.ENDED:
            there = Violation(other.name, "is a subscription to the product already")
            raise Refusal(Kind.ALREADY_EXISTS, Reason.ALREADY_SUBSCRIBED, violations=[there])
