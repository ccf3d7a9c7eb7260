"""What the sandbox's registry holds from the start: one customer, subscribed to the product, with one application."""

from number_verification import app
from number_verification.config import Settings
from number_verification.domain import clock
from number_verification.domain.application import LegalBasis, Limits
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import Organization, OrganizationKind
from number_verification.domain.onboarding.product import Plan, Product
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.registry.database import migrate
from number_verification.registry.sql import SqlRegistry
from number_verification.sandbox import keys

CUSTOMER = "organizations/bank"
PRODUCT = "products/number-verification"
CLIENT_ID = "bank"
REDIRECT_URI = "http://127.0.0.1:9999/callback"
PURPOSE = "dpv:FraudPreventionAndDetection"
API_SCOPES = frozenset({"number-verification:verify", "number-verification:device-phone-number:read"})


def register(settings: Settings, own: keys.SandboxKeys) -> None:
    """Fill the registry, if it is not filled yet.

    Raises:
        StoreUnavailable: it cannot be used.
    """
    engine = app.registry_database(settings)
    migrate(engine)
    registry = SqlRegistry(engine)
    with registry.writing() as writing:
        for entity in _entities(own):
            if writing.find(type(entity), entity.name) is None:
                writing.add(entity, clock.now())
    registry.close()


def _entities(own: keys.SandboxKeys) -> list[Entity]:
    return [
        Organization(name=CUSTOMER, kind=OrganizationKind.CUSTOMER, display_name="A bank that came directly"),
        Product(
            name=PRODUCT,
            display_name="Number Verification",
            operations=(
                "/numberverification.v2.NumberVerificationService/VerifyPhoneNumber",
                "/numberverification.v2.NumberVerificationService/GetDevicePhoneNumber",
            ),
            scopes=API_SCOPES,
            purposes=frozenset({PURPOSE}),
            plans=(Plan("unlimited", "Without limits", Limits()),),
        ),
        Subscription(
            name=f"{CUSTOMER}/subscriptions/number-verification",
            product=PRODUCT,
            plan="unlimited",
            state=SubscriptionState.ACTIVE,
        ),
        RegisteredApplication(
            name=f"{CUSTOMER}/applications/bank",
            display_name="The bank's app",
            client_id=CLIENT_ID,
            jwks=keys.public(own.bank),
            redirect_uris=frozenset({REDIRECT_URI}),
            scopes=API_SCOPES | {"openid"},
            purposes={PURPOSE: LegalBasis.CONTRACT},
            state=ApplicationState.ACTIVE,
        ),
    ]
