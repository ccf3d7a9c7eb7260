"""What comes before the first call: customers, people, subscriptions and applications, onboarded through the API.

Everybody does their own part with a key of their own: the operator's staff, a bank that came directly, and a channel
partner with a shop behind it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from number_verification.gen.consent.v1 import consent_pb2 as consent
from number_verification.gen.onboarding.v1 import applications_pb2 as applications
from number_verification.gen.onboarding.v1 import keys_pb2
from number_verification.gen.onboarding.v1 import organizations_pb2 as organizations
from number_verification.gen.onboarding.v1 import people_pb2 as people
from number_verification.gen.onboarding.v1 import products_pb2 as products
from number_verification.gen.onboarding.v1 import subscriptions_pb2 as subscriptions
from number_verification.sandbox.devices import Device
from number_verification.sandbox.keys import private_jwk
from number_verification.sandbox.platform import Caller, Platform

OPERATOR_STAFF = "operator-staff"
PRODUCT = "products/number-verification"
STANDARD, TRIAL = "standard", "trial"
TRIAL_QUOTA = 2
"""Tokens a day on the trial plan: few enough to see what happens when they are used up."""

PURPOSE = "dpv:FraudPreventionAndDetection"
API_SCOPES = ("number-verification:verify", "number-verification:device-phone-number:read")
SCOPES = ("openid", PURPOSE, *API_SCOPES)
REDIRECT_URI = "http://127.0.0.1:9999/callback"

_SERVICE = "onboarding.v1.OnboardingService"


class Client(NamedTuple):
    """An application, as its backend needs to know it."""

    name: str
    client_id: str
    private_jwk: Mapping[str, Any]
    application: str
    customer: str
    channel_partner: str
    legal_basis: str

    def description(self) -> dict[str, Any]:
        """What `sandbox.json` says of it."""
        return {
            "name": self.name,
            "client_id": self.client_id,
            "private_jwk": self.private_jwk,
            "redirect_uri": REDIRECT_URI,
            "scopes": list(SCOPES),
            "application": self.application,
            "customer": self.customer,
            "channel_partner": self.channel_partner or None,
            "legal_basis": self.legal_basis,
        }


class Done(NamedTuple):
    """Something that somebody did."""

    who: str
    what: str
    outcome: str


class Onboarding:
    """Onboards, and remembers who did what.

    Args:
        platform: where.
        staff_key: of the operator's staff.
    """

    def __init__(self, platform: Platform, staff_key: Mapping[str, Any]) -> None:
        self._platform = platform
        self._staff = platform.caller(OPERATOR_STAFF, staff_key)
        self.done: list[Done] = []

    def product(self) -> None:
        """Staff puts Number Verification into the catalogue."""
        service = "/numberverification.v2.NumberVerificationService"
        request = products.CreateProductRequest(
            product=products.Product(
                display_name="Number Verification",
                operations=[f"{service}/VerifyPhoneNumber", f"{service}/GetDevicePhoneNumber"],
                purposes=[PURPOSE],
                plans=[
                    products.Plan(id=STANDARD, display_name="Standard"),
                    products.Plan(id=TRIAL, display_name="Trial", daily_quota=TRIAL_QUOTA),
                ],
            ),
            product_id=PRODUCT.rpartition("/")[2],
        )
        self._staff.call(f"{_SERVICE}/CreateProduct", request, products.CreateProductResponse)
        self._note("operator's staff", f"offer {PRODUCT}", "in the catalogue")

    def customer(self, organization_id: str, display_name: str, *, partner: "Caller | None" = None) -> str:
        """Staff onboards a customer that came directly, or a channel partner one of its own. Returns its name."""
        request = organizations.CreateOrganizationRequest(
            organization=organizations.Organization(
                kind=organizations.ORGANIZATION_KIND_CUSTOMER, display_name=display_name
            ),
            organization_id=organization_id,
        )
        return self._organization(request, partner)

    def channel_partner(self, organization_id: str, display_name: str) -> tuple[str, Caller]:
        """Staff onboards a channel partner and somebody who acts for it."""
        request = organizations.CreateOrganizationRequest(
            organization=organizations.Organization(
                kind=organizations.ORGANIZATION_KIND_CHANNEL_PARTNER, display_name=display_name
            ),
            organization_id=organization_id,
        )
        name = self._organization(request, None)
        return name, self.person(name, "partner-manager", people.ROLE_BUSINESS_MANAGER, people.ROLE_ADMINISTRATOR)

    def person(self, organization: str, person_id: str, *roles: "people.Role.ValueType") -> Caller:
        """Staff onboards somebody who acts for an organization, with a key of their own."""
        key = private_jwk()
        request = people.CreatePersonRequest(
            parent=organization,
            person=people.Person(display_name=person_id, roles=roles, jwks=_public(key)),
            person_id=person_id,
        )
        answer = self._staff.call(f"{_SERVICE}/CreatePerson", request, people.CreatePersonResponse)
        self._note("operator's staff", f"onboard {answer.person.name}", "onboarded")
        return self._platform.caller(answer.person.client_id, key)

    def subscription(self, organization: str, plan: str, manager: Caller) -> str:
        """A business manager asks for the product, and staff grants it."""
        request = subscriptions.CreateSubscriptionRequest(
            parent=organization,
            subscription=subscriptions.Subscription(product=PRODUCT, plan=plan),
            subscription_id=PRODUCT.rpartition("/")[2],
        )
        name = manager.call(
            f"{_SERVICE}/CreateSubscription", request, subscriptions.CreateSubscriptionResponse
        ).subscription.name
        self._note("business manager", f"subscribe {organization} to {PRODUCT}", "requested")
        self._staff.call(
            f"{_SERVICE}/ActivateSubscription",
            subscriptions.ActivateSubscriptionRequest(name=name),
            subscriptions.ActivateSubscriptionResponse,
        )
        self._note("operator's staff", f"activate {name}", "active")
        return name

    def application(
        self,
        name: str,
        organization: str,
        channel_partner: str,
        basis: "applications.LegalBasis.ValueType",
        administrator: Caller,
        key: Mapping[str, Any],
    ) -> Client:
        """An administrator registers an application, and staff activates it."""
        request = applications.CreateApplicationRequest(
            parent=organization,
            application=applications.Application(
                display_name=name,
                jwks=_public(key),
                redirect_uris=[REDIRECT_URI],
                flows=[applications.FLOW_AUTHORIZATION_CODE],
                scopes=["openid", *API_SCOPES],
                purposes=[applications.PurposeGrounds(purpose=PURPOSE, legal_basis=basis)],
            ),
            application_id=f"{name}-app",
        )
        registered = administrator.call(
            f"{_SERVICE}/CreateApplication", request, applications.CreateApplicationResponse
        ).application
        self._note("administrator", f"register {registered.name}", "registered")
        self._staff.call(
            f"{_SERVICE}/ActivateApplication",
            applications.ActivateApplicationRequest(name=registered.name),
            applications.ActivateApplicationResponse,
        )
        self._note("operator's staff", f"activate {registered.name}", "active")
        self._platform.wait_until_known(registered.client_id, REDIRECT_URI)
        return Client(name, registered.client_id, key, registered.name, organization, channel_partner, _basis(basis))

    def known(self, name: str, application: str, channel_partner: str, key: Mapping[str, Any]) -> Client:
        """An application that was onboarded before."""
        request = applications.GetApplicationRequest(name=application)
        found = self._staff.call(f"{_SERVICE}/GetApplication", request, applications.GetApplicationResponse).application
        customer = application.rpartition("/applications/")[0]
        self._platform.wait_until_known(found.client_id, REDIRECT_URI)
        basis = _basis(found.purposes[0].legal_basis)
        return Client(name, found.client_id, key, application, customer, channel_partner, basis)

    def suspend(self, client: Client) -> None:
        """Staff stops serving an application."""
        self._staff.call(
            f"{_SERVICE}/SuspendApplication",
            applications.SuspendApplicationRequest(name=client.application),
            applications.SuspendApplicationResponse,
        )

    def consent(self, application: str, device: Device) -> None:
        """The operator records that a subscriber agrees to what an application asks for."""
        request = consent.GiveConsentRequest(
            phone_number=device.phone_number,
            application=application,
            purpose=PURPOSE,
            scopes=API_SCOPES,
            evidence="agreed in the sandbox",
        )
        self._staff.call("consent.v1.ConsentService/GiveConsent", request, consent.GiveConsentResponse)

    def agrees(self, application: str, device: Device) -> bool:
        """Whether a subscriber agrees to what an application asks for, by what is on record."""
        request = consent.LookUpConsentRequest(
            phone_number=device.phone_number, application=application, purpose=PURPOSE, scopes=API_SCOPES
        )
        answer = self._staff.call("consent.v1.ConsentService/LookUpConsent", request, consent.LookUpConsentResponse)
        return answer.allowed

    def withdraw(self, application: str, device: Device) -> None:
        """The operator records that a subscriber does not agree any more."""
        request = consent.WithdrawConsentRequest(
            phone_number=device.phone_number, application=application, purpose=PURPOSE, evidence="as the story goes"
        )
        self._staff.call("consent.v1.ConsentService/WithdrawConsent", request, consent.WithdrawConsentResponse)

    def _organization(self, request: organizations.CreateOrganizationRequest, partner: Caller | None) -> str:
        answer = (partner or self._staff).call(
            f"{_SERVICE}/CreateOrganization", request, organizations.CreateOrganizationResponse
        )
        who = "channel partner" if partner else "operator's staff"
        self._note(who, f"onboard {answer.organization.name}", "onboarded")
        return answer.organization.name

    def _note(self, who: str, what: str, outcome: str) -> None:
        self.done.append(Done(who, what, outcome))


def known_before(onboarding: Onboarding, keys: Mapping[str, Mapping[str, Any]]) -> list[Client]:
    """The two customers' applications, in a registry that an earlier run left."""
    return [
        onboarding.known("bank", "organizations/first-bank/applications/bank-app", "", keys["bank"]),
        onboarding.known(
            "shop", "organizations/web-shop/applications/shop-app", "organizations/aggregator", keys["shop"]
        ),
    ]


def onboard_all(
    onboarding: Onboarding, keys: Mapping[str, Mapping[str, Any]], consenting: Iterator[Device]
) -> list[Client]:
    """From an empty registry to two customers that can be served: one that came directly, and one through a partner."""
    onboarding.product()
    bank = onboarding.customer("first-bank", "A bank that came directly")
    manager = onboarding.person(bank, "business-manager", people.ROLE_BUSINESS_MANAGER)
    administrator = onboarding.person(bank, "administrator", people.ROLE_ADMINISTRATOR)
    onboarding.subscription(bank, STANDARD, manager)
    direct = onboarding.application(
        "bank", bank, "", applications.LEGAL_BASIS_LEGITIMATE_INTEREST, administrator, keys["bank"]
    )
    aggregator, partner = onboarding.channel_partner("aggregator", "An aggregator")
    shop = onboarding.customer("web-shop", "A shop behind the aggregator", partner=partner)
    onboarding.subscription(shop, STANDARD, partner)
    behind = onboarding.application("shop", shop, aggregator, applications.LEGAL_BASIS_CONSENT, partner, keys["shop"])
    for device in consenting:
        onboarding.consent(behind.application, device)
    return [direct, behind]


def _basis(basis: "applications.LegalBasis.ValueType") -> str:
    return applications.LegalBasis.Name(basis).removeprefix("LEGAL_BASIS_").lower()


def _public(private: Mapping[str, Any]) -> keys_pb2.JsonWebKeySet:
    known = keys_pb2.JsonWebKey.DESCRIPTOR.fields_by_name
    return keys_pb2.JsonWebKeySet(
        keys=[keys_pb2.JsonWebKey(**{name: value for name, value in private.items() if name in known})]
    )
