"""The contract's messages and the domain say the same."""

from dataclasses import replace
from typing import Any

import pytest

from number_verification.domain.application import Flow, LegalBasis, Limits
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.organization import Organization, OrganizationKind, OrganizationState
from number_verification.domain.onboarding.person import Person, PersonRole
from number_verification.domain.onboarding.product import Plan, Product
from number_verification.domain.onboarding.subscription import Subscription
from number_verification.domain.refusal import Kind, Refusal
from number_verification.gen.onboarding.v1 import (
    applications_pb2,
    organizations_pb2,
    people_pb2,
    products_pb2,
    subscriptions_pb2,
)
from number_verification.services import entities, enumerations
from number_verification.services.enumerations import Enumeration

STAMPS: dict[str, Any] = {"revision": 7, "created": 1_790_000_000_123, "updated": 1_790_000_001_456}
JWKS = {"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": "x", "y": "y"}]}
APPLICATION = RegisteredApplication(
    name="organizations/bank/applications/app",
    display_name="Äpp",
    client_id="c",
    jwks=JWKS,
    redirect_uris=frozenset({"https://b.example/", "https://a.example/"}),
    flows=frozenset(Flow),
    scopes=frozenset({"openid", "a"}),
    purposes=dict.fromkeys(("dpv:B", "dpv:A"), LegalBasis.CONSENT),
    requires_signed_request=True,
    **STAMPS,
)


def test_every_number_of_every_enumeration_has_a_value() -> None:
    checked = 0
    for module in (applications_pb2, organizations_pb2, people_pb2, products_pb2, subscriptions_pb2):
        for enum in module.DESCRIPTOR.enum_types_by_name.values():
            (table,) = (t for t in vars(enumerations).values() if isinstance(t, Enumeration) and fits(t, enum.name))
            numbers = [value.number for value in enum.values if value.number]
            values = [table.find(number) for number in numbers]
            assert [value.name for value in values] == [  # type: ignore[union-attr]
                enum.values_by_number[number].name.removeprefix(prefix(enum)) for number in numbers
            ]
            assert len(set(values)) == len(numbers)
            assert [table.number(value) for value in values] == numbers
            checked += 1
    assert checked == 9


def fits(table: Enumeration[Any, Any], name: str) -> bool:
    return type(table.find(1)).__name__.removeprefix("Person") in (name, name.removeprefix("Person"))


def prefix(enum: Any) -> str:
    return str(enum.values_by_number[0].name.removesuffix("UNSPECIFIED"))


def test_numbers_of_a_newer_contract_are_not_known() -> None:
    assert enumerations.ROLES.find(99) is None
    assert enumerations.ROLES.read(0, "state") is None
    with pytest.raises(Refusal) as caught:
        enumerations.ROLES.read(99, "state")
    assert caught.value.kind is Kind.INVALID_ARGUMENT
    assert caught.value.violations[0].field == "state"


def test_an_application() -> None:
    message = entities.application_message(APPLICATION)
    assert (message.name, message.client_id, message.etag) == (APPLICATION.name, "c", "7")
    assert message.create_time.ToMilliseconds() == 1_790_000_000_123
    assert message.update_time.ToMilliseconds() == 1_790_000_001_456
    assert list(message.redirect_uris) == ["https://a.example/", "https://b.example/"]
    draft = entities.application_draft(message)
    again = replace(
        APPLICATION,
        display_name=draft.display_name,
        jwks=draft.jwks,
        redirect_uris=frozenset(draft.redirect_uris),
        flows=frozenset(filter(None, draft.flows)),
        scopes=frozenset(draft.scopes),
        purposes=dict(draft.purposes),
        requires_signed_request=draft.requires_signed_request,
        requires_dpop=draft.requires_dpop,
    )
    assert again == APPLICATION


def test_an_application_that_publishes_its_keys() -> None:
    message = entities.application_message(replace(APPLICATION, jwks={}, jwks_uri="https://bank.example/jwks"))
    assert not message.HasField("jwks")
    draft = entities.application_draft(message)
    assert (draft.jwks, draft.jwks_uri) == ({}, "https://bank.example/jwks")


def test_what_is_not_known_is_none() -> None:
    message = applications_pb2.Application(flows=[1, 99, 0])
    message.purposes.add(purpose="dpv:A", legal_basis=99)
    draft = entities.application_draft(message)
    assert (draft.flows, draft.purposes) == ((Flow.AUTHORIZATION_CODE, None, None), (("dpv:A", None),))


def test_the_others() -> None:
    person = Person(
        name="organizations/bank/people/ada",
        display_name="Ada",
        roles=frozenset(PersonRole),
        client_id="c",
        jwks=JWKS,
        certificate_names=frozenset({"b", "a"}),
        **STAMPS,
    )
    drafted = entities.person_draft(entities.person_message(person))
    assert drafted == ("Ada", tuple(PersonRole), JWKS, ("a", "b"))

    plan = Plan("basic", "Basic", Limits(0.5, 1, 2, 3), frozenset({"dpv:A"}), frozenset({"a"}))
    product = Product(
        name="products/p", display_name="P", operations=("/b", "/a"), scopes=frozenset({"a"}),
        purposes=frozenset({"dpv:A"}), plans=(plan,), **STAMPS,
    )  # fmt: skip
    message = entities.product_message(product)
    assert list(message.scopes) == ["a"]
    draft = entities.product_draft(message)
    assert (draft.operations, draft.purposes) == (("/b", "/a"), ("dpv:A",))
    (plan_draft,) = draft.plans
    assert plan_draft.plan == plan._replace(purposes=frozenset(), scopes=frozenset())
    assert (plan_draft.purposes, plan_draft.scopes) == (("dpv:A",), ("a",))

    subscription = Subscription(name="organizations/bank/subscriptions/s", product="products/p", plan="basic", **STAMPS)
    assert entities.subscription_draft(entities.subscription_message(subscription)) == ("products/p", "basic")

    organization = Organization(
        name="organizations/shop", kind=OrganizationKind.CUSTOMER, display_name="S",
        channel_partner="organizations/a", state=OrganizationState.SUSPENDED, **STAMPS,
    )  # fmt: skip
    shown = entities.organization_message(organization)
    assert shown.state == organizations_pb2.ORGANIZATION_STATE_SUSPENDED
    assert entities.organization_draft(shown) == (OrganizationKind.CUSTOMER, "S", "organizations/a")
