"""Entities as rows of their tables, and back."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import Table

from number_verification.domain.application import Flow, LegalBasis, Limits
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import Organization, OrganizationKind, OrganizationState
from number_verification.domain.onboarding.person import Person, PersonRole, PersonState
from number_verification.domain.onboarding.product import Plan, Product, ProductState
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.registry import schema

E = TypeVar("E", bound=Entity)
Row = Mapping[Any, Any]

_COMMON = ("name", "revision", "created", "updated")
"""The columns that mean the same in all entities; the state is of a type of its own in each."""


class Mapped(NamedTuple):
    """How one kind of entity is kept."""

    table: Table
    columns: Callable[[Any], dict[str, Any]]
    """The columns of an entity beside those that all have."""
    entity: Callable[[Row, dict[str, Any]], Entity]
    """Takes a row and what all entities have of it."""


def encoded(entity: Entity) -> dict[str, Any]:
    """The columns of an entity; without the change, which the store sets."""
    common = {
        "name": entity.name,
        "revision": entity.revision,
        "created": entity.created,
        "updated": entity.updated,
        "state": entity.state,  # type: ignore[attr-defined]  # every kind has one, of a type of its own
    }
    return common | MAPPED[type(entity)].columns(entity)


def decoded(kind: type[E], rows: Iterable[Row]) -> list[E]:
    """The entities of rows.

    Raises:
        StoreUnavailable: a row makes no sense to this version.
    """
    mapped = MAPPED[kind]
    try:
        return [cast("E", mapped.entity(row, {name: row[name] for name in _COMMON})) for row in rows]
    except (AttributeError, KeyError, TypeError, ValueError):
        # Its content is not quoted, nor what Python says of it.
        raise StoreUnavailable(f"registry: a row of {mapped.table.name} cannot be read") from None


def _organization_columns(organization: Organization) -> dict[str, Any]:
    return {
        "kind": organization.kind,
        "display_name": organization.display_name,
        "channel_partner": organization.channel_partner or None,
    }


def _organization(row: Row, common: dict[str, Any]) -> Organization:
    return Organization(
        **common,
        kind=OrganizationKind(row["kind"]),
        display_name=row["display_name"],
        channel_partner=row["channel_partner"] or "",
        state=OrganizationState(row["state"]),
    )


def _person_columns(person: Person) -> dict[str, Any]:
    return {
        "organization": person.parent,
        "display_name": person.display_name,
        "roles": sorted(person.roles),
        "client_id": person.client_id,
        "jwks": dict(person.jwks),
        "certificate_names": sorted(person.certificate_names),
    }


def _person(row: Row, common: dict[str, Any]) -> Person:
    return Person(
        **common,
        display_name=row["display_name"],
        roles=frozenset(map(PersonRole, row["roles"])),
        client_id=row["client_id"],
        jwks=row["jwks"],
        certificate_names=frozenset(row["certificate_names"]),
        state=PersonState(row["state"]),
    )


def _product_columns(product: Product) -> dict[str, Any]:
    return {
        "display_name": product.display_name,
        "operations": list(product.operations),
        "scopes": sorted(product.scopes),
        "purposes": sorted(product.purposes),
        "plans": [
            {
                "id": plan.id,
                "display_name": plan.display_name,
                "limits": list(plan.limits),
                "purposes": sorted(plan.purposes),
                "scopes": sorted(plan.scopes),
            }
            for plan in product.plans
        ],
    }


def _product(row: Row, common: dict[str, Any]) -> Product:
    return Product(
        **common,
        display_name=row["display_name"],
        operations=tuple(row["operations"]),
        scopes=frozenset(row["scopes"]),
        purposes=frozenset(row["purposes"]),
        plans=tuple(
            Plan(
                plan["id"],
                plan["display_name"],
                Limits(*plan["limits"]),
                frozenset(plan["purposes"]),
                frozenset(plan["scopes"]),
            )
            for plan in row["plans"]
        ),
        state=ProductState(row["state"]),
    )


def _subscription_columns(subscription: Subscription) -> dict[str, Any]:
    return {"organization": subscription.parent, "product": subscription.product, "plan": subscription.plan}


def _subscription(row: Row, common: dict[str, Any]) -> Subscription:
    return Subscription(**common, product=row["product"], plan=row["plan"], state=SubscriptionState(row["state"]))


def _application_columns(application: RegisteredApplication) -> dict[str, Any]:
    return {
        "organization": application.parent,
        "display_name": application.display_name,
        "client_id": application.client_id,
        "jwks": dict(application.jwks),
        "jwks_uri": application.jwks_uri,
        "redirect_uris": sorted(application.redirect_uris),
        "flows": sorted(application.flows),
        "scopes": sorted(application.scopes),
        "purposes": dict(application.purposes),
        "requires_signed_request": application.requires_signed_request,
        "requires_dpop": application.requires_dpop,
    }


def _application(row: Row, common: dict[str, Any]) -> RegisteredApplication:
    return RegisteredApplication(
        **common,
        display_name=row["display_name"],
        client_id=row["client_id"],
        jwks=row["jwks"],
        jwks_uri=row["jwks_uri"],
        redirect_uris=frozenset(row["redirect_uris"]),
        flows=frozenset(map(Flow, row["flows"])),
        scopes=frozenset(row["scopes"]),
        purposes={purpose: LegalBasis(basis) for purpose, basis in row["purposes"].items()},
        requires_signed_request=row["requires_signed_request"],
        requires_dpop=row["requires_dpop"],
        state=ApplicationState(row["state"]),
    )


MAPPED: Mapping[type[Entity], Mapped] = {
    Organization: Mapped(schema.organizations, _organization_columns, _organization),
    Person: Mapped(schema.people, _person_columns, _person),
    Product: Mapped(schema.products, _product_columns, _product),
    Subscription: Mapped(schema.subscriptions, _subscription_columns, _subscription),
    RegisteredApplication: Mapped(schema.applications, _application_columns, _application),
}
