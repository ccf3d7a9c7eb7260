"""Entities in which no attribute is what it would be by default."""

from typing import Any

from number_verification.domain.application import Flow, LegalBasis, Limits
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import Organization, OrganizationKind, OrganizationState
from number_verification.domain.onboarding.person import Person, PersonRole, PersonState
from number_verification.domain.onboarding.product import Plan, Product, ProductState
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState

_KEYS = {"keys": [{"kty": "EC", "crv": "P-256", "x": "ö" * 43, "kid": ""}]}
PURPOSE = "dpv:FraudPreventionAndDetection"


def partner(name: str = "organizations/hub", **changes: Any) -> Organization:
    return Organization(name=name, kind=OrganizationKind.CHANNEL_PARTNER, display_name="Hub", **changes)


def customer(name: str = "organizations/bank", **changes: Any) -> Organization:
    return Organization(name=name, kind=OrganizationKind.CUSTOMER, display_name="Bänk 銀行", **changes)


def person(name: str = "organizations/bank/people/ada", client_id: str = "ada", **changes: Any) -> Person:
    return Person(
        name=name,
        display_name="Ada",
        roles=frozenset({PersonRole.ADMINISTRATOR, PersonRole.USER}),
        client_id=client_id,
        jwks=_KEYS,
        certificate_names=frozenset({"ada.bank.example", "ada"}),
        **changes,
    )


def product(name: str = "products/nv", **changes: Any) -> Product:
    return Product(
        name=name,
        display_name="Number Verification",
        operations=("/b.B/Second", "/a.A/First"),
        scopes=frozenset({"openid", "number-verification:verify"}),
        purposes=frozenset({PURPOSE}),
        plans=(
            Plan("small", "Small", Limits(0.5, 10, 100, 1_000), frozenset({PURPOSE}), frozenset({"openid"})),
            Plan("large", "Large", Limits()),
        ),
        **changes,
    )


def subscription(name: str = "organizations/bank/subscriptions/nv", **changes: Any) -> Subscription:
    return Subscription(name=name, product="products/nv", plan="small", **changes)


def application(
    name: str = "organizations/bank/applications/app", client_id: str = "app", **changes: Any
) -> RegisteredApplication:
    return RegisteredApplication(
        name=name,
        display_name="App",
        client_id=client_id,
        jwks=_KEYS,
        jwks_uri="https://bank.example/jwks",
        redirect_uris=frozenset({"https://bank.example/cb", "com.example:/cb"}),
        flows=frozenset({Flow.CIBA, Flow.JWT_BEARER}),
        scopes=frozenset({"openid"}),
        purposes={PURPOSE: LegalBasis.CONSENT},
        requires_signed_request=True,
        requires_dpop=True,
        **changes,
    )


def one_of_each() -> list[Entity]:
    """One of each kind, in an order in which they can be added."""
    return [
        partner(state=OrganizationState.SUSPENDED),
        customer(channel_partner="organizations/hub", state=OrganizationState.CLOSED),
        product(state=ProductState.WITHDRAWN),
        person(state=PersonState.REMOVED),
        subscription(state=SubscriptionState.ENDED),
        application(state=ApplicationState.RETIRED),
    ]
