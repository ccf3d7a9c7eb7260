"""What an application and a person may do, whatever state everything they depend on is in."""

import itertools
from typing import Any

import pytest

from number_verification.domain.application import NO_LIMITS, Application, LegalBasis
from number_verification.domain.onboarding.application import ApplicationState
from number_verification.domain.onboarding.organization import OrganizationState
from number_verification.domain.onboarding.person import PersonRole, PersonState
from number_verification.domain.onboarding.product import Plan, ProductState
from number_verification.domain.onboarding.standing import standing_of_application, standing_of_person
from number_verification.domain.onboarding.subscription import SubscriptionState
from number_verification.domain.refusal import Reason
from unit.registry.entities import (
    AGGREGATOR,
    BANK,
    FRAUD,
    LIMITS,
    READ,
    SERVICE,
    VERIFY,
    application,
    organization,
    partner,
    person,
    product,
    subscription,
)

PRODUCTS = {"products/number-verification": product()}
DIRECT = object()

APPLICATION = {
    ApplicationState.REGISTERED: Reason.APPLICATION_NOT_ACTIVE,
    ApplicationState.ACTIVE: None,
    ApplicationState.SUSPENDED: Reason.APPLICATION_SUSPENDED,
    ApplicationState.RETIRED: Reason.APPLICATION_RETIRED,
}
CUSTOMER = {
    None: Reason.CUSTOMER_CLOSED,
    OrganizationState.ACTIVE: None,
    OrganizationState.SUSPENDED: Reason.CUSTOMER_SUSPENDED,
    OrganizationState.CLOSED: Reason.CUSTOMER_CLOSED,
}
PARTNER = {
    DIRECT: None,
    None: Reason.CHANNEL_PARTNER_SUSPENDED,
    OrganizationState.ACTIVE: None,
    OrganizationState.SUSPENDED: Reason.CHANNEL_PARTNER_SUSPENDED,
    OrganizationState.CLOSED: Reason.CHANNEL_PARTNER_SUSPENDED,
}
SUBSCRIPTION = {
    None: Reason.NOT_SUBSCRIBED,
    SubscriptionState.REQUESTED: Reason.NOT_SUBSCRIBED,
    SubscriptionState.ACTIVE: None,
    SubscriptionState.SUSPENDED: Reason.SUBSCRIPTION_SUSPENDED,
    SubscriptionState.ENDED: Reason.NOT_SUBSCRIBED,
}


def test_the_tables_of_this_test_are_complete() -> None:
    for states, table in (
        (ApplicationState, APPLICATION),
        (OrganizationState, CUSTOMER),
        (OrganizationState, PARTNER),
        (SubscriptionState, SUBSCRIPTION),
    ):
        assert set(states) <= set(table)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("own", "customer", "channel", "subscribed"), list(itertools.product(APPLICATION, CUSTOMER, PARTNER, SUBSCRIPTION))
)
def test_every_combination_of_states(own: Any, customer: Any, channel: Any, subscribed: Any) -> None:
    """Whatever is wrong, it is refused; of several things, the one nearest to the application is named."""
    through = "" if channel is DIRECT else AGGREGATOR
    found = standing_of_application(
        application(state=own),
        organization(state=customer, channel_partner=through) if customer else None,
        None if channel in (DIRECT, None) else partner(state=channel),
        [subscription(state=subscribed)] if subscribed else [],
        PRODUCTS,
    )
    # Which partner a customer comes through is only known of a customer that is.
    reasons = [APPLICATION[own], CUSTOMER[customer], PARTNER[channel] if customer else None, SUBSCRIPTION[subscribed]]
    assert found.objection is next((reason for reason in reasons if reason), None)


def standing(registered: Any = None, *subscriptions: Any, products: Any = None) -> Application:
    return standing_of_application(
        registered or application(), organization(), None, subscriptions or [subscription()], products or PRODUCTS
    )


def test_what_is_taken_over() -> None:
    registered = application(requires_signed_request=True, requires_dpop=True, jwks_uri="https://bank.example/jwks")
    found = standing_of_application(
        registered, organization(channel_partner=AGGREGATOR), partner(), [subscription()], PRODUCTS
    )
    assert (found.name, found.customer, found.channel_partner) == (registered.name, BANK, AGGREGATOR)
    assert found.requires_signed_request
    assert found.requires_dpop
    for name in ("client_id", "jwks", "jwks_uri", "redirect_uris", "flows"):
        assert getattr(found, name) == getattr(registered, name)
    assert found.limits == LIMITS
    assert found.scopes == {"openid", VERIFY, READ, FRAUD}
    assert found.legal_bases == {FRAUD: LegalBasis.CONTRACT}


def with_plan(**changes: Any) -> dict[str, Any]:
    plan = Plan("basic", "Basic", LIMITS)._replace(**changes)
    return {"products/number-verification": product(plans=(plan,))}


def test_a_plan_narrows_scopes_and_purposes() -> None:
    both = application(purposes={FRAUD: LegalBasis.CONTRACT, SERVICE: LegalBasis.CONSENT})
    assert standing(both).scopes == {"openid", VERIFY, READ, FRAUD, SERVICE}
    narrowed = standing(both, products=with_plan(scopes=frozenset({VERIFY}), purposes=frozenset({SERVICE})))
    assert narrowed.scopes == {"openid", VERIFY, SERVICE}
    assert narrowed.legal_bases == {SERVICE: LegalBasis.CONSENT}
    assert narrowed.objection is None


def test_a_plan_gives_nothing_that_its_product_has_not() -> None:
    greedy = with_plan(scopes=frozenset({VERIFY, "other:scope"}), purposes=frozenset({FRAUD, "dpv:Marketing"}))
    registered = application(purposes={FRAUD: LegalBasis.CONTRACT, "dpv:Marketing": LegalBasis.CONSENT})
    assert standing(registered, products=greedy).scopes == {"openid", VERIFY, FRAUD}


def test_nothing_is_had_that_was_not_registered() -> None:
    assert standing(application(scopes=frozenset({VERIFY}))).scopes == {VERIFY, FRAUD}


def test_a_product_without_the_application_s_scopes_is_another_product() -> None:
    other = {"products/number-verification": product(scopes=frozenset({VERIFY}))}
    assert standing(products=other).objection is Reason.NOT_SUBSCRIBED
    assert standing(application(scopes=frozenset({"openid", VERIFY})), products=other).objection is None


def test_a_plan_or_a_product_that_is_not_there() -> None:
    for broken in (subscription(plan="gold"), subscription(product="products/other")):
        found = standing(None, broken)
        assert (found.objection, found.limits) == (Reason.NOT_SUBSCRIBED, NO_LIMITS)
        assert found.scopes == {"openid"}


def test_a_withdrawn_product_goes_on_for_those_who_have_it() -> None:
    withdrawn = {"products/number-verification": product(state=ProductState.WITHDRAWN)}
    assert standing(products=withdrawn).objection is None


def test_live_subscriptions_go_first_and_then_names() -> None:
    products = {
        "products/number-verification": product(
            plans=tuple(Plan(name, name, LIMITS._replace(rate=number)) for number, name in enumerate("abc", 1))
        )
    }

    def one(name: str, state: SubscriptionState) -> Any:
        return subscription(name=f"{BANK}/subscriptions/{name}", plan=name, state=state)

    active, suspended, ended = SubscriptionState.ACTIVE, SubscriptionState.SUSPENDED, SubscriptionState.ENDED
    for order in itertools.permutations([one("a", suspended), one("b", active), one("c", active)]):
        found = standing(None, *order, products=products)
        assert (found.objection, found.limits.rate) == (None, 2)
    for order in itertools.permutations([one("a", ended), one("b", suspended), one("c", suspended)]):
        found = standing(None, *order, products=products)
        assert (found.objection, found.limits.rate) == (Reason.SUBSCRIPTION_SUSPENDED, 2)


@pytest.mark.parametrize(
    ("own", "customer", "channel"),
    list(itertools.product([PersonState.ACTIVE, PersonState.SUSPENDED], CUSTOMER, PARTNER)),
)
def test_a_person_of_a_customer(own: Any, customer: Any, channel: Any) -> None:
    through = "" if channel is DIRECT else AGGREGATOR
    found = standing_of_person(
        person(state=own),
        organization(state=customer, channel_partner=through) if customer else None,
        None if channel in (DIRECT, None) else partner(state=channel),
    )
    assert found is not None
    reasons = [
        None if own is PersonState.ACTIVE else Reason.PERSON_SUSPENDED,
        CUSTOMER[customer],
        PARTNER[channel] if customer else None,
    ]
    assert found.objection is next((reason for reason in reasons if reason), None)
    assert found.principal == (f"{BANK}/people/ada", {"administrator"}, BANK)


def test_nobody_is_as_good_as_somebody_who_was_removed() -> None:
    assert standing_of_person(person(state=PersonState.REMOVED), organization(), None) is None


@pytest.mark.parametrize("role", PersonRole)
def test_who_represents_a_channel_partner(role: PersonRole) -> None:
    found = standing_of_person(person(roles=frozenset({role}), name=f"{AGGREGATOR}/people/ada"), partner(), None)
    assert found is not None
    expected = {role.value} if role is PersonRole.USER else {role.value, "channel-partner"}
    assert found.principal.roles == expected
    of_customer = standing_of_person(person(roles=frozenset({role})), organization(), None)
    assert of_customer is not None
    assert of_customer.principal.roles == {role.value}


@pytest.mark.parametrize("state", [OrganizationState.SUSPENDED, OrganizationState.CLOSED])
def test_a_person_of_a_channel_partner_that_is_not_active(state: OrganizationState) -> None:
    found = standing_of_person(person(), partner(state=state), None)
    assert found is not None
    assert found.objection is Reason.CHANNEL_PARTNER_SUSPENDED
