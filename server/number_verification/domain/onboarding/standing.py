"""What somebody may do at this moment: derived from what is registered of them and of those they depend on.

Nothing here is stored. Of several objections the one nearest to the application or the person is named, because that is
where whoever looks into it begins.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from number_verification.domain.application import NO_LIMITS, Application, Limits
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.organization import Organization, OrganizationKind, OrganizationState
from number_verification.domain.onboarding.person import Person, PersonRole, PersonState
from number_verification.domain.onboarding.principal import CHANNEL_PARTNER, Principal, PrincipalClient
from number_verification.domain.onboarding.product import Product
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.domain.refusal import Reason

_OPENID = frozenset({"openid"})
"""Belongs to no product: it tells an application nothing but that somebody was authenticated."""

_OF_APPLICATION = {
    ApplicationState.REGISTERED: Reason.APPLICATION_NOT_ACTIVE,
    ApplicationState.ACTIVE: None,
    ApplicationState.SUSPENDED: Reason.APPLICATION_SUSPENDED,
    ApplicationState.RETIRED: Reason.APPLICATION_RETIRED,
}
_OF_CUSTOMER = {
    OrganizationState.ACTIVE: None,
    OrganizationState.SUSPENDED: Reason.CUSTOMER_SUSPENDED,
    OrganizationState.CLOSED: Reason.CUSTOMER_CLOSED,
}
_REPRESENTATIVES = frozenset({PersonRole.BUSINESS_MANAGER, PersonRole.ADMINISTRATOR})


class _Terms(NamedTuple):
    """On what terms an application is served."""

    objection: Reason | None
    scopes: frozenset[str]
    purposes: frozenset[str]
    limits: Limits


_NOT_SUBSCRIBED = _Terms(Reason.NOT_SUBSCRIBED, frozenset(), frozenset(), NO_LIMITS)


def standing_of_application(
    registered: RegisteredApplication,
    customer: Organization | None,
    channel_partner: Organization | None,
    subscriptions: Iterable[Subscription],
    products: Mapping[str, Product],
) -> Application:
    """What an application may do.

    Args:
        registered: the application.
        customer: the organization that owns it; what belongs to none is not served.
        channel_partner: the organization through which the customer comes, if it does.
        subscriptions: the customer's.
        products: the catalogue by name.
    """
    terms = _terms(registered.scopes - _OPENID, subscriptions, products)
    legal_bases = {purpose: basis for purpose, basis in registered.purposes.items() if purpose in terms.purposes}
    objection = (
        _OF_APPLICATION[registered.state] or _objection_to_organization(customer, channel_partner) or terms.objection
    )
    return Application(
        client_id=registered.client_id,
        name=registered.name,
        customer=registered.parent,
        channel_partner=customer.channel_partner if customer else "",
        jwks=registered.jwks,
        jwks_uri=registered.jwks_uri,
        redirect_uris=registered.redirect_uris,
        flows=registered.flows,
        scopes=registered.scopes & (terms.scopes | _OPENID) | frozenset(legal_bases),
        legal_bases=legal_bases,
        requires_signed_request=registered.requires_signed_request,
        requires_dpop=registered.requires_dpop,
        limits=terms.limits,
        objection=objection,
    )


def _terms(scopes: frozenset[str], subscriptions: Iterable[Subscription], products: Mapping[str, Product]) -> _Terms:
    """The terms of the subscription that counts: of those whose product has all the scopes, live ones go first."""
    found = _NOT_SUBSCRIBED
    for subscription in sorted(subscriptions, key=lambda each: each.name):
        product = products.get(subscription.product)
        plan = product.plan(subscription.plan) if product else None
        if product is None or plan is None or not scopes <= product.scopes:
            continue
        terms = _Terms(
            None,
            product.scopes & plan.scopes if plan.scopes else product.scopes,
            product.purposes & plan.purposes if plan.purposes else product.purposes,
            plan.limits,
        )
        if subscription.state is SubscriptionState.ACTIVE:
            return terms
        if subscription.state is SubscriptionState.SUSPENDED and found is _NOT_SUBSCRIBED:
            found = terms._replace(objection=Reason.SUBSCRIPTION_SUSPENDED)
    return found


def _objection_to_organization(
    organization: Organization | None, channel_partner: Organization | None
) -> Reason | None:
    if organization is None:
        return Reason.CUSTOMER_CLOSED
    if organization.kind is OrganizationKind.CHANNEL_PARTNER:
        return None if organization.state is OrganizationState.ACTIVE else Reason.CHANNEL_PARTNER_SUSPENDED
    objection = _OF_CUSTOMER[organization.state]
    if objection is not None or not organization.channel_partner:
        return objection
    if channel_partner is None or channel_partner.state is not OrganizationState.ACTIVE:
        return Reason.CHANNEL_PARTNER_SUSPENDED
    return None


def standing_of_person(
    person: Person, organization: Organization | None, channel_partner: Organization | None
) -> PrincipalClient | None:
    """What a person may do; None for one that was removed.

    Args:
        person: who.
        organization: for which they act.
        channel_partner: the organization through which theirs comes, if it does.
    """
    if person.state is PersonState.REMOVED:
        return None
    roles = {role.value for role in person.roles}
    if organization and organization.kind is OrganizationKind.CHANNEL_PARTNER and person.roles & _REPRESENTATIVES:
        roles.add(CHANNEL_PARTNER)
    objection = (
        _objection_to_organization(organization, channel_partner)
        if person.state is PersonState.ACTIVE
        else Reason.PERSON_SUSPENDED
    )
    principal = Principal(person.name, frozenset(roles), person.parent)
    return PrincipalClient(principal, person.client_id, person.jwks, objection=objection)
