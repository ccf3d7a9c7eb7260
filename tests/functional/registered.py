"""What is registered with a service of the tests: written into its registry directly, also while it runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from functional.service import PURPOSE, READ_SCOPE, VERIFY_SCOPE
from number_verification.domain import clock
from number_verification.domain.application import LegalBasis, Limits
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import Organization, OrganizationKind
from number_verification.domain.onboarding.product import Plan, Product
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.registry.database import migrate, open_database
from number_verification.registry.sql import SqlRegistry

OTHER_PURPOSE = "dpv:ServiceProvision"
CUSTOMER, CHANNEL_PARTNER = "organizations/customer", "organizations/partner"
PRODUCT, SUBSCRIPTION = "products/number-verification", f"{CUSTOMER}/subscriptions/number-verification"
API_SCOPES = frozenset({VERIFY_SCOPE, READ_SCOPE})
PURPOSES = (PURPOSE, OTHER_PURPOSE)


def application(index: int, jwks: Mapping[str, Any], redirect_uris: Sequence[str] = ()) -> RegisteredApplication:
    """An application that may ask for everything; `client-0`, `client-1` and so on."""
    return RegisteredApplication(
        name=f"{CUSTOMER}/applications/app-{index}",
        display_name=f"The application {index}",
        client_id=f"client-{index}",
        jwks=jwks,
        redirect_uris=frozenset(redirect_uris),
        scopes=API_SCOPES | {"openid"},
        purposes=dict.fromkeys(PURPOSES, LegalBasis.CONTRACT),
        state=ApplicationState.ACTIVE,
    )


def customer(*applications: RegisteredApplication, limits: Limits = Limits()) -> list[Entity]:  # noqa: B008 - a value
    """A customer behind a channel partner that is subscribed to the product, with its applications."""
    return [
        Organization(name=CHANNEL_PARTNER, kind=OrganizationKind.CHANNEL_PARTNER, display_name="An aggregator"),
        Organization(
            name=CUSTOMER,
            kind=OrganizationKind.CUSTOMER,
            display_name="A customer",
            channel_partner=CHANNEL_PARTNER,
        ),
        Product(
            name=PRODUCT,
            display_name="Number Verification",
            operations=(),
            scopes=API_SCOPES,
            purposes=frozenset(PURPOSES),
            plans=(Plan("basic", "Basic", limits),),
        ),
        Subscription(name=SUBSCRIPTION, product=PRODUCT, plan="basic", state=SubscriptionState.ACTIVE),
        *applications,
    ]


@contextmanager
def opened(place: Path | str) -> Iterator[SqlRegistry]:
    """The registry of a data directory, or at a URL."""
    if isinstance(place, Path):
        place.mkdir(parents=True, exist_ok=True)
        place = f"sqlite:///{place / 'registry.db'}"
    engine = open_database(place)
    migrate(engine)
    registry = SqlRegistry(engine)
    try:
        yield registry
    finally:
        registry.close()


def register(place: Path | str, entities: Iterable[Entity]) -> None:
    """Make entities what they are given as, in one transaction."""
    with opened(place) as registry, registry.writing() as writing:
        for entity in entities:
            stored = writing.find(type(entity), entity.name)
            if stored is None:
                writing.add(entity, clock.now())
            else:
                writing.replace(replace(entity, revision=stored.revision, created=stored.created), clock.now())


def change(data_dir: Path, kind: type[Entity], name: str, **changes: Any) -> None:
    """Change some fields of one entity."""
    with opened(data_dir) as registry, registry.writing() as writing:
        stored = writing.find(kind, name)
        assert stored is not None
        writing.replace(replace(stored, **changes), clock.now())
