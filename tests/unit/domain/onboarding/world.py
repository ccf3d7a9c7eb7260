"""Who and what the tests of onboarding are about: two channel partners, their customers, and one that came directly."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from joserfc.jwk import ECKey

from number_verification.authorization.registration import key_fault, uri_fault
from number_verification.domain.application import Flow, LegalBasis, Limits
from number_verification.domain.onboarding.application_checks import ApplicationDraft
from number_verification.domain.onboarding.organization import Organization, OrganizationKind
from number_verification.domain.onboarding.people import PersonDraft
from number_verification.domain.onboarding.person import PersonRole
from number_verification.domain.onboarding.principal import CHANNEL_PARTNER, OPERATOR_STAFF, Principal
from number_verification.domain.onboarding.product import Plan, Product
from number_verification.domain.onboarding.products import PlanDraft, ProductDraft
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.gen.rules import ACCESS_RULES
from unit.domain.onboarding.memory import MemoryRegistry

NOW = 1_790_000_000_000
VERIFY = "/numberverification.v2.NumberVerificationService/VerifyPhoneNumber"
READ = "/numberverification.v2.NumberVerificationService/GetDevicePhoneNumber"
VERIFY_SCOPE = "number-verification:verify"
FRAUD = "dpv:FraudPreventionAndDetection"
PRODUCT = "products/number-verification"

BANK, AGGREGATOR, RIVAL = "organizations/bank", "organizations/aggregator", "organizations/rival"
SHOP, RIVAL_SHOP = "organizations/shop", "organizations/rival-shop"


def person_of(organization: str, *roles: str, name: str = "somebody") -> Principal:
    return Principal(f"{organization}/people/{name}", frozenset(roles), organization)


STAFF = Principal("staff", frozenset({OPERATOR_STAFF}))
PARTNER = person_of(AGGREGATOR, CHANNEL_PARTNER, PersonRole.ADMINISTRATOR)
PARTNER_MANAGER = person_of(AGGREGATOR, CHANNEL_PARTNER, PersonRole.BUSINESS_MANAGER)
PARTNER_USER = person_of(AGGREGATOR, PersonRole.USER)
ADMINISTRATOR = person_of(BANK, PersonRole.ADMINISTRATOR)
MANAGER = person_of(BANK, PersonRole.BUSINESS_MANAGER)
USER = person_of(BANK, PersonRole.USER)
HOMELESS = Principal("service", frozenset({CHANNEL_PARTNER, PersonRole.ADMINISTRATOR, PersonRole.BUSINESS_MANAGER}))
"""A service of the operator that was given roles, but acts for no organization."""

KEY = ECKey.generate_key("P-256").as_dict(private=False, kid="1", use="sig", alg="ES256")
JWKS = {"keys": [KEY]}


def organization(name: str, **changes: Any) -> Organization:
    return Organization(**{"name": name, "kind": OrganizationKind.CUSTOMER, "display_name": "Somebody", **changes})


def catalogue_product(**changes: Any) -> Product:
    good: dict[str, Any] = {
        "name": PRODUCT,
        "display_name": "Number Verification",
        "operations": (VERIFY,),
        "scopes": frozenset({VERIFY_SCOPE}),
        "purposes": frozenset({FRAUD}),
        "plans": (Plan("basic", "Basic", Limits(5, 10, 0, 0)), Plan("large", "Large", Limits())),
    }
    return Product(**{**good, **changes})


PLAN = PlanDraft(Plan("basic", "Basic", Limits(rate=5, burst=10)))
PRODUCT_DRAFT = ProductDraft("Number Verification", (VERIFY,), (FRAUD,), (PLAN,))
PERSON_DRAFT = PersonDraft("Ada", (PersonRole.ADMINISTRATOR,), JWKS, ("ada.bank.example",))
APPLICATION_DRAFT = ApplicationDraft(
    display_name="Banking app",
    jwks=JWKS,
    redirect_uris=("https://bank.example/callback",),
    flows=(Flow.AUTHORIZATION_CODE,),
    scopes=("openid", VERIFY_SCOPE),
    purposes=((FRAUD, LegalBasis.LEGITIMATE_INTEREST),),
)


def rules(prefix: str = "") -> Rules:
    """Real rules, with identifiers that count; the prefix keeps those of several processes apart."""
    numbers = count(1)
    return Rules(
        ACCESS_RULES,
        key_fault,
        uri_fault,
        lambda: f"{prefix}chosen-{next(numbers)}",
        lambda: f"{prefix}client-{next(numbers)}",
    )


RULES = rules()


def world() -> MemoryRegistry:
    registry = MemoryRegistry()
    partner: dict[str, Any] = {"kind": OrganizationKind.CHANNEL_PARTNER}
    registry.put(
        organization(BANK),
        organization(AGGREGATOR, **partner),
        organization(RIVAL, **partner),
        organization(SHOP, channel_partner=AGGREGATOR),
        organization(RIVAL_SHOP, channel_partner=RIVAL),
        catalogue_product(),
    )
    return registry


@contextmanager
def refused(kind: Kind, reason: Reason | None = None, *fields: str) -> Iterator[None]:
    """Hold the block to a refusal, and to the fields that its violations name."""
    with pytest.raises(Refusal) as caught:
        yield
    assert caught.value.kind is kind
    if reason is not None:
        assert caught.value.reason is reason
    if fields:
        assert sorted(violation.field for violation in caught.value.violations) == sorted(fields)
