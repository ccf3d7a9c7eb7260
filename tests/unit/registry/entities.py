"""Entities of the registry as tests want them, and a registry that keeps them in memory."""

from contextlib import AbstractContextManager
from typing import Any, NoReturn

from number_verification.domain.application import LegalBasis, Limits
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import Organization, OrganizationKind
from number_verification.domain.onboarding.person import Person, PersonRole
from number_verification.domain.onboarding.product import Plan, Product
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.registry.store import Changes, Reading, Writing

VERIFY, READ = "number-verification:verify", "number-verification:device-phone-number:read"
FRAUD, SERVICE = "dpv:FraudPreventionAndDetection", "dpv:ServiceProvision"
LIMITS = Limits(rate=5, burst=10, daily_quota=100, monthly_quota=1000)

BANK, AGGREGATOR = "organizations/bank", "organizations/aggregator"


def organization(**changes: Any) -> Organization:
    return Organization(**{"name": BANK, "kind": OrganizationKind.CUSTOMER, "display_name": "A bank", **changes})


def partner(**changes: Any) -> Organization:
    return organization(
        **{"name": AGGREGATOR, "kind": OrganizationKind.CHANNEL_PARTNER, "display_name": "An aggregator", **changes}
    )


def product(**changes: Any) -> Product:
    good: dict[str, Any] = {
        "name": "products/number-verification",
        "display_name": "Number Verification",
        "operations": (),
        "scopes": frozenset({VERIFY, READ}),
        "purposes": frozenset({FRAUD, SERVICE}),
        "plans": (Plan("basic", "Basic", LIMITS),),
    }
    return Product(**{**good, **changes})


def subscription(**changes: Any) -> Subscription:
    good: dict[str, Any] = {
        "name": f"{BANK}/subscriptions/nv",
        "product": "products/number-verification",
        "plan": "basic",
        "state": SubscriptionState.ACTIVE,
    }
    return Subscription(**{**good, **changes})


def application(**changes: Any) -> RegisteredApplication:
    good: dict[str, Any] = {
        "name": f"{BANK}/applications/app",
        "display_name": "An app",
        "client_id": "bank-app",
        "jwks": {"keys": []},
        "redirect_uris": frozenset({"https://bank.example/cb"}),
        "scopes": frozenset({"openid", VERIFY, READ}),
        "purposes": {FRAUD: LegalBasis.CONTRACT},
        "state": ApplicationState.ACTIVE,
    }
    return RegisteredApplication(**{**good, **changes})


def person(**changes: Any) -> Person:
    good: dict[str, Any] = {
        "name": f"{BANK}/people/ada",
        "display_name": "Ada",
        "roles": frozenset({PersonRole.ADMINISTRATOR}),
        "client_id": "ada",
        "certificate_names": frozenset({"ada.bank.example"}),
    }
    return Person(**{**good, **changes})


def everything() -> list[Entity]:
    """A customer that is served."""
    return [organization(), product(), subscription(), application(), person()]


class MemoryRegistry:
    """What a snapshot asks of a registry. `down` makes it unreachable."""

    def __init__(self, *entities: Entity) -> None:
        self.written: list[tuple[int, Entity]] = []
        self.down = False
        self.polls = 0
        if entities:
            self.write(*entities)

    def write(self, *entities: Entity) -> None:
        """One transaction."""
        change = self.written[-1][0] + 1 if self.written else 1
        self.written = [*self.written, *((change, entity) for entity in entities)]

    def change(self) -> int:
        self.polls += 1
        if self.down:
            raise StoreUnavailable("the registry cannot be reached")
        return self.written[-1][0] if self.written else 0

    def changes(self, since: int) -> Changes:
        self.change()
        written = self.written
        latest = {entity.name: entity for change, entity in written if change > since}
        return Changes(written[-1][0], list(latest.values()))

    def reading(self) -> AbstractContextManager[Reading]:
        return self._not_here()

    def writing(self) -> AbstractContextManager[Writing]:
        return self._not_here()

    def _not_here(self) -> NoReturn:
        raise AssertionError("a snapshot only asks for changes")

    def probe(self) -> None:
        self.change()

    def close(self) -> None:
        return
