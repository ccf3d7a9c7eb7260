"""The entities of the registry between the contract's messages and the domain."""

from collections.abc import Mapping
from typing import Any, Protocol

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from number_verification.domain.application import Limits
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.application_checks import ApplicationDraft
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import Organization
from number_verification.domain.onboarding.organizations import OrganizationDraft
from number_verification.domain.onboarding.people import PersonDraft
from number_verification.domain.onboarding.person import Person
from number_verification.domain.onboarding.product import Plan, Product
from number_verification.domain.onboarding.products import PlanDraft, ProductDraft
from number_verification.domain.onboarding.steps import etag
from number_verification.domain.onboarding.subscription import Subscription
from number_verification.domain.onboarding.subscriptions import SubscriptionDraft
from number_verification.domain.usage import UsageRow
from number_verification.gen.onboarding.v1 import (
    applications_pb2,
    keys_pb2,
    organizations_pb2,
    people_pb2,
    products_pb2,
    subscriptions_pb2,
    usage_pb2,
)
from number_verification.services.enumerations import (
    APPLICATION_STATES,
    FLOWS,
    KINDS,
    LEGAL_BASES,
    ORGANIZATION_STATES,
    PERSON_STATES,
    PRODUCT_STATES,
    ROLES,
    SUBSCRIPTION_STATES,
)


class _Resource(Protocol):
    name: str
    etag: str

    @property
    def create_time(self) -> Timestamp: ...

    @property
    def update_time(self) -> Timestamp: ...


def _fill(message: _Resource, entity: Entity) -> None:
    message.name = entity.name
    message.etag = etag(entity)
    message.create_time.FromMilliseconds(entity.created)
    message.update_time.FromMilliseconds(entity.updated)


def organization_draft(message: organizations_pb2.Organization) -> OrganizationDraft:
    """What a message says of an organization.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    kind = KINDS.read(message.kind, "organization.kind")
    return OrganizationDraft(kind, message.display_name, message.channel_partner)


def organization_message(organization: Organization) -> organizations_pb2.Organization:
    """An organization as the contract shows it."""
    message = organizations_pb2.Organization(
        kind=KINDS.number(organization.kind),
        display_name=organization.display_name,
        channel_partner=organization.channel_partner,
        state=ORGANIZATION_STATES.number(organization.state),
    )
    _fill(message, organization)
    return message


def person_draft(message: people_pb2.Person) -> PersonDraft:
    """What a message says of a person."""
    return PersonDraft(
        message.display_name,
        tuple(map(ROLES.find, message.roles)),
        _jwks(message.jwks),
        tuple(message.certificate_names),
    )


def person_message(person: Person) -> people_pb2.Person:
    """A person as the contract shows them."""
    message = people_pb2.Person(
        display_name=person.display_name,
        roles=sorted(map(ROLES.number, person.roles)),
        client_id=person.client_id,
        jwks=_jwks_message(person.jwks),
        certificate_names=sorted(person.certificate_names),
        state=PERSON_STATES.number(person.state),
    )
    _fill(message, person)
    return message


def product_draft(message: products_pb2.Product) -> ProductDraft:
    """What a message says of a product."""
    return ProductDraft(
        message.display_name,
        tuple(message.operations),
        tuple(message.purposes),
        tuple(
            PlanDraft(
                Plan(
                    plan.id,
                    plan.display_name,
                    Limits(plan.rate, plan.burst, plan.daily_quota, plan.monthly_quota),
                ),
                tuple(plan.purposes),
                tuple(plan.scopes),
            )
            for plan in message.plans
        ),
    )


def product_message(product: Product) -> products_pb2.Product:
    """A product as the contract shows it."""
    message = products_pb2.Product(
        display_name=product.display_name,
        operations=product.operations,
        scopes=sorted(product.scopes),
        purposes=sorted(product.purposes),
        plans=map(_plan_message, product.plans),
        state=PRODUCT_STATES.number(product.state),
    )
    _fill(message, product)
    return message


def _plan_message(plan: Plan) -> products_pb2.Plan:
    return products_pb2.Plan(
        id=plan.id,
        display_name=plan.display_name,
        rate=plan.limits.rate,
        burst=plan.limits.burst,
        daily_quota=plan.limits.daily_quota,
        monthly_quota=plan.limits.monthly_quota,
        purposes=sorted(plan.purposes),
        scopes=sorted(plan.scopes),
    )


def subscription_draft(message: subscriptions_pb2.Subscription) -> SubscriptionDraft:
    """What a message says of a subscription."""
    return SubscriptionDraft(message.product, message.plan)


def subscription_message(subscription: Subscription) -> subscriptions_pb2.Subscription:
    """A subscription as the contract shows it."""
    message = subscriptions_pb2.Subscription(
        product=subscription.product, plan=subscription.plan, state=SUBSCRIPTION_STATES.number(subscription.state)
    )
    _fill(message, subscription)
    return message


def application_draft(message: applications_pb2.Application) -> ApplicationDraft:
    """What a message says of an application."""
    return ApplicationDraft(
        display_name=message.display_name,
        jwks=_jwks(message.jwks),
        jwks_uri=message.jwks_uri,
        redirect_uris=tuple(message.redirect_uris),
        flows=tuple(map(FLOWS.find, message.flows)),
        scopes=tuple(message.scopes),
        purposes=tuple((grounds.purpose, LEGAL_BASES.find(grounds.legal_basis)) for grounds in message.purposes),
        requires_signed_request=message.requires_signed_request,
        requires_dpop=message.requires_dpop,
    )


def application_message(application: RegisteredApplication) -> applications_pb2.Application:
    """An application as the contract shows it."""
    message = applications_pb2.Application(
        display_name=application.display_name,
        client_id=application.client_id,
        jwks=_jwks_message(application.jwks),
        jwks_uri=application.jwks_uri,
        redirect_uris=sorted(application.redirect_uris),
        flows=sorted(map(FLOWS.number, application.flows)),
        scopes=sorted(application.scopes),
        purposes=[
            applications_pb2.PurposeGrounds(purpose=purpose, legal_basis=LEGAL_BASES.number(basis))
            for purpose, basis in sorted(application.purposes.items())
        ],
        requires_signed_request=application.requires_signed_request,
        requires_dpop=application.requires_dpop,
        state=APPLICATION_STATES.number(application.state),
    )
    _fill(message, application)
    return message


def usage_message(row: UsageRow) -> usage_pb2.UsageRow:
    """A row of usage as the contract shows it."""
    return usage_pb2.UsageRow(**row.usage._asdict(), count=row.times)


def _jwks(message: keys_pb2.JsonWebKeySet) -> Mapping[str, Any]:
    """A JWK set; empty where it has no key."""
    return MessageToDict(message)


def _jwks_message(jwks: Mapping[str, Any]) -> keys_pb2.JsonWebKeySet | None:
    if not jwks:
        return None
    return keys_pb2.JsonWebKeySet(keys=[keys_pb2.JsonWebKey(**key) for key in jwks["keys"]])
