"""Every method and every role: who may call what, written out here once more."""

from typing import Any

import pytest
from google.protobuf.message import Message

from functional.onboarding.conftest import ROLES
from functional.onboarding.wire import METHODS, SERVICE, Call
from number_verification.domain.application import LegalBasis
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.organization import OrganizationState
from number_verification.domain.onboarding.person import Person, PersonRole, PersonState
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.gen.onboarding.v1 import (
    applications_pb2,
    organizations_pb2,
    people_pb2,
    products_pb2,
    subscriptions_pb2,
    usage_pb2,
)
from number_verification.gen.rules import ACCESS_RULES
from unit.domain.onboarding.memory import MemoryRegistry
from unit.domain.onboarding.world import (
    BANK,
    FRAUD,
    JWKS,
    PRODUCT,
    SHOP,
    VERIFY,
    VERIFY_SCOPE,
    organization,
)

STAFF = {"operator-staff"}
PARTNERS = STAFF | {"channel-partner"}
MANAGERS = PARTNERS | {"business-manager"}
ADMINISTRATORS = PARTNERS | {"administrator"}
EVERYBODY = MANAGERS | ADMINISTRATORS | {"user"}

ALLOWED = {
    "CreateOrganization": PARTNERS,
    "GetOrganization": EVERYBODY,
    "ListOrganizations": EVERYBODY,
    "UpdateOrganization": PARTNERS,
    "SuspendOrganization": PARTNERS,
    "ReinstateOrganization": STAFF,
    "CloseOrganization": PARTNERS,
    "CreatePerson": ADMINISTRATORS,
    "GetPerson": EVERYBODY,
    "ListPeople": EVERYBODY,
    "UpdatePerson": ADMINISTRATORS,
    "SuspendPerson": ADMINISTRATORS,
    "ReinstatePerson": ADMINISTRATORS,
    "RemovePerson": ADMINISTRATORS,
    "CreateProduct": STAFF,
    "GetProduct": EVERYBODY,
    "ListProducts": EVERYBODY,
    "UpdateProduct": STAFF,
    "WithdrawProduct": STAFF,
    "CreateSubscription": MANAGERS,
    "GetSubscription": EVERYBODY,
    "ListSubscriptions": EVERYBODY,
    "UpdateSubscription": MANAGERS,
    "ActivateSubscription": STAFF,
    "SuspendSubscription": PARTNERS,
    "ReinstateSubscription": STAFF,
    "EndSubscription": MANAGERS,
    "CreateApplication": ADMINISTRATORS,
    "GetApplication": EVERYBODY,
    "ListApplications": EVERYBODY,
    "UpdateApplication": ADMINISTRATORS,
    "ActivateApplication": STAFF,
    "SuspendApplication": ADMINISTRATORS,
    "ReinstateApplication": STAFF,
    "RetireApplication": ADMINISTRATORS,
    "QueryUsage": MANAGERS,
}
BEFORE = {
    "ReinstateOrganization": OrganizationState.SUSPENDED,
    "ReinstatePerson": PersonState.SUSPENDED,
    "ActivateSubscription": SubscriptionState.REQUESTED,
    "ReinstateSubscription": SubscriptionState.SUSPENDED,
    "ActivateApplication": ApplicationState.REGISTERED,
    "ReinstateApplication": ApplicationState.SUSPENDED,
}
"""The state that the entity must be in; ACTIVE for the others."""


def prepare(registry: MemoryRegistry, method: str, owner: str) -> None:
    """Put there what the method needs, and nothing that is in its way."""
    state: Any = BEFORE.get(method)
    channel_partner = "" if owner == BANK else "organizations/aggregator"
    if method == "ReinstateOrganization":
        registry.put(organization(owner, channel_partner=channel_partner, state=state))
    if "Pe" in method:
        registry.put(
            Person(
                name=f"{owner}/people/eve",
                display_name="Eve",
                roles=frozenset({PersonRole.USER}),
                client_id="eve",
                state=state or PersonState.ACTIVE,
            )
        )
    if "Subscription" in method and method != "CreateSubscription":
        registry.put(
            Subscription(
                name=f"{owner}/subscriptions/first",
                product=PRODUCT,
                plan="basic",
                state=state or SubscriptionState.ACTIVE,
            )
        )
    if "Application" in method:
        registry.put(
            RegisteredApplication(
                name=f"{owner}/applications/app",
                display_name="App",
                client_id="app",
                jwks=JWKS,
                redirect_uris=frozenset({"https://bank.example/"}),
                scopes=frozenset({VERIFY_SCOPE}),
                purposes={FRAUD: LegalBasis.CONTRACT},
                state=state or ApplicationState.ACTIVE,
            )
        )


def request_of(method: str, owner: str) -> Message:
    """A request that is granted, if the caller may make it."""
    names = {
        "Organization": (organizations_pb2, owner),
        "Person": (people_pb2, f"{owner}/people/eve"),
        "Product": (products_pb2, PRODUCT),
        "Subscription": (subscriptions_pb2, f"{owner}/subscriptions/first"),
        "Application": (applications_pb2, f"{owner}/applications/app"),
    }
    special = {
        "CreateOrganization": organizations_pb2.CreateOrganizationRequest(
            organization=organizations_pb2.Organization(
                kind=organizations_pb2.ORGANIZATION_KIND_CUSTOMER, display_name="New"
            )
        ),
        "CreatePerson": people_pb2.CreatePersonRequest(
            parent=owner, person=people_pb2.Person(display_name="New", roles=[people_pb2.ROLE_USER])
        ),
        "CreateProduct": products_pb2.CreateProductRequest(
            product=products_pb2.Product(
                display_name="New",
                operations=[VERIFY],
                purposes=[FRAUD],
                plans=[products_pb2.Plan(id="basic", display_name="Basic")],
            )
        ),
        "CreateSubscription": subscriptions_pb2.CreateSubscriptionRequest(
            parent=owner, subscription=subscriptions_pb2.Subscription(product=PRODUCT, plan="basic")
        ),
        "CreateApplication": applications_pb2.CreateApplicationRequest(
            parent=owner, application=applications_pb2.Application(display_name="New")
        ),
        "ListOrganizations": organizations_pb2.ListOrganizationsRequest(),
        "ListPeople": people_pb2.ListPeopleRequest(parent=owner),
        "ListProducts": products_pb2.ListProductsRequest(),
        "ListSubscriptions": subscriptions_pb2.ListSubscriptionsRequest(parent="organizations/-"),
        "ListApplications": applications_pb2.ListApplicationsRequest(parent=owner, page_size=1000),
        "QueryUsage": usage_pb2.QueryUsageRequest(parent=owner, first_day="2026-11-01", last_day="2026-11-30"),
    }
    if method in special:
        return special[method]  # type: ignore[return-value]
    kind = next(kind for kind in names if method.endswith(kind))
    module, name = names[kind]
    if method.startswith("Update"):
        resource = getattr(module, kind)(name=name, display_name="Other") if kind != "Subscription" else None
        resource = resource or subscriptions_pb2.Subscription(name=name, plan="large")
        return getattr(module, f"{method}Request")(**{kind.lower(): resource})  # type: ignore[no-any-return]
    return getattr(module, f"{method}Request")(name=name)  # type: ignore[no-any-return]


def test_every_method_is_in_the_table() -> None:
    assert set(ALLOWED) == set(METHODS)
    assert len(ALLOWED) == 36


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", ALLOWED)
def test_role_and_method(transport: Call, in_memory: MemoryRegistry, method: str, role: str) -> None:
    owner = SHOP if role == "channel-partner" else BANK
    prepare(in_memory, method, owner)
    before = in_memory.change()
    outcome = transport(ROLES[role], request_of(method, owner))
    assert outcome.code == ("OK" if role in ALLOWED[method] else "PERMISSION_DENIED"), outcome.text
    writes = not method.startswith(("Get", "List", "Query"))
    assert (in_memory.change() > before) is (writes and role in ALLOWED[method])


@pytest.mark.parametrize("method", ALLOWED)
def test_nobody_calls_anything(transport: Call, in_memory: MemoryRegistry, method: str) -> None:
    assert transport(None, request_of(method, BANK)).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", [name for name in ALLOWED if "roduct" not in name])
def test_nobody_but_staff_touches_the_customer_of_another_channel_partner(
    transport: Call, in_memory: MemoryRegistry, method: str, role: str
) -> None:
    """Whatever it is, it is refused, or it is about the caller's own."""
    stranger = "organizations/rival-shop"
    request = request_of(method, stranger)
    if role == "operator-staff" or method in ("CreateOrganization", "ListOrganizations", "ListSubscriptions"):
        return
    expected = "NOT_FOUND" if role in ALLOWED[method] else "PERMISSION_DENIED"
    before = in_memory.change()
    assert transport(ROLES[role], request).code == expected
    assert in_memory.change() == before


def test_the_contract_says_the_same() -> None:
    for method, roles in ALLOWED.items():
        assert ACCESS_RULES[f"/{SERVICE.full_name}/{method}"].roles == roles, method
