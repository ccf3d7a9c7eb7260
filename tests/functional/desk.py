"""The operator's platform from outside: the internal services of a running service, over gRPC or REST, as somebody."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self
from urllib.parse import urlencode

import grpc
from google.protobuf.message import Message

from functional.authorization import ASSERTION_TYPE, OAuthClient
from functional.load import wait_until
from functional.onboarding.binding import answered, bind, response_class, rpc_of
from functional.service import ANSWER_SECONDS, PURPOSE, READ_SCOPE, VERIFY_SCOPE, HttpAnswer, Service, request
from functional.serving import REDIRECT_URI, key_pair, public
from functional.transports import grpc_refusal
from number_verification.gen.consent.v1 import consent_pb2 as consent
from number_verification.gen.onboarding.v1 import applications_pb2 as apps
from number_verification.gen.onboarding.v1 import keys_pb2
from number_verification.gen.onboarding.v1 import organizations_pb2 as orgs
from number_verification.gen.onboarding.v1 import people_pb2 as people
from number_verification.gen.onboarding.v1 import products_pb2 as products
from number_verification.gen.onboarding.v1 import subscriptions_pb2 as subs

OPERATIONS = [
    f"/numberverification.v2.NumberVerificationService/{m}" for m in ("VerifyPhoneNumber", "GetDevicePhoneNumber")
]
OTHER_PURPOSE = "dpv:ServiceProvision"
CONSENT, CONTRACT = apps.LEGAL_BASIS_CONSENT, apps.LEGAL_BASIS_CONTRACT
LEGITIMATE_INTEREST = apps.LEGAL_BASIS_LEGITIMATE_INTEREST
Body = dict[str, Any]

_numbers = itertools.count(1)


def fresh(word: str) -> str:
    """An identifier that nobody has yet."""
    return f"{word}-{next(_numbers)}"


class Refused(Exception):
    """A call that was refused, by the code of the contract."""


class Wire(ABC):
    """One way to the internal services."""

    name: str

    def __init__(self, service: Service) -> None:
        self.service = service
        self.internal: dict[str, Any] = service.description["internal"]

    @abstractmethod
    def send(self, message: Message, token: str | None) -> Any:
        """Call the method that the request belongs to.

        Raises:
            Refused: it was refused.
        """

    def close(self) -> None:  # noqa: B027 - REST has nothing to close
        """Close what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class GrpcWire(Wire):
    name = "grpc"

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        # A connection of its own: channels to the same address would share one.
        self.channel = grpc.insecure_channel(self.internal["listener"], [("grpc.use_local_subchannel_pool", 1)])

    def send(self, message: Message, token: str | None) -> Any:
        rpc = self.channel.unary_unary(rpc_of(message), None, response_class(message).FromString)
        try:
            return rpc(message.SerializeToString(), metadata=bearer(token), timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            raise Refused(grpc_refusal(error).code) from None

    def close(self) -> None:
        self.channel.close()


class RestWire(Wire):
    name = "rest"

    def send(self, message: Message, token: str | None) -> Any:
        bound = bind(message)
        headers = [*bearer(token), *([("content-type", "application/json")] if bound.body is not None else [])]
        target = f"{bound.path}?{bound.query}" if bound.query else bound.path
        answer = request(self.internal["api_root"], bound.http_method, target, headers, bound.body)
        if answer.status != 200:
            assert answer.json["status"] == answer.status
            raise Refused(answer.json["code"])
        return answered(message, answer.body)


def bearer(token: str | None) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")] if token else []


class Caller:
    """Somebody with a key of their own."""

    def __init__(self, wire: Wire, client_id: str, key: Mapping[str, Any]) -> None:
        self.wire = wire
        self.client_id = client_id
        self.client = OAuthClient(wire.service, registered={"client_id": client_id, "private_jwk": key})
        self.token = ""

    def asked(self) -> HttpAnswer:
        """Ask for a token."""
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.client.assertion(),
        }
        return self.client.post_token(urlencode(form).encode())

    def known(self) -> bool:
        """Whether the authorization server gives them a token."""
        answer = self.asked()
        if answer.status == 200:
            self.token = answer.json["access_token"]
        return answer.status == 200

    def __call__(self, message: Message) -> Any:
        """Call as them."""
        if not self.token:
            # Every worker looks for news several times a second.
            wait_until(self.known, 5)
        return self.wire.send(message, self.token)

    def refused(self, message: Message) -> str:
        """The code of a call that must be refused."""
        try:
            self(message)
        except Refused as refused:
            return str(refused)
        raise AssertionError("it was not refused")


class Desk:
    """The operator's staff, and what it onboards."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.service = wire.service
        self.staff = Caller(wire, wire.internal["client_id"], wire.internal["private_jwk"])

    def product(self, *plans: Body) -> str:
        """A product with both methods, and its plans."""
        product = products.Product(
            display_name="Number Verification",
            operations=OPERATIONS,
            purposes=[PURPOSE, OTHER_PURPOSE],
            plans=[products.Plan(display_name=plan["id"], **plan) for plan in plans],
        )
        answer = self.staff(products.CreateProductRequest(product=product, product_id=fresh("product")))
        name: str = answer.product.name
        return name

    def organization(self, by: Caller | None = None, *, channel_partner: bool = False) -> str:
        """A customer or a channel partner, onboarded by staff; or a customer, onboarded by its channel partner."""
        kind = orgs.ORGANIZATION_KIND_CHANNEL_PARTNER if channel_partner else orgs.ORGANIZATION_KIND_CUSTOMER
        organization = orgs.Organization(kind=kind, display_name="Somebody")
        answer = (by or self.staff)(
            orgs.CreateOrganizationRequest(organization=organization, organization_id=fresh("organization"))
        )
        name: str = answer.organization.name
        return name

    def person(self, organization: str, *roles: "people.Role.ValueType", by: Caller | None = None) -> Caller:
        """Somebody who acts for an organization."""
        key = key_pair()
        person = people.Person(display_name="Somebody", roles=roles, jwks=jwks(key))
        answer = (by or self.staff)(
            people.CreatePersonRequest(parent=organization, person=person, person_id=fresh("person"))
        )
        return Caller(self.wire, answer.person.client_id, key)

    def subscribe(self, organization: str, product: str, plan: str, by: Caller, *, activate: bool = True) -> str:
        """A subscription that somebody asks for, and that staff activates."""
        subscription = subs.Subscription(product=product, plan=plan)
        answer = by(
            subs.CreateSubscriptionRequest(
                parent=organization, subscription=subscription, subscription_id=fresh("subscription")
            )
        )
        name: str = answer.subscription.name
        if activate:
            self.staff(subs.ActivateSubscriptionRequest(name=name))
        return name

    def application(
        self,
        organization: str,
        by: Caller,
        basis: "apps.LegalBasis.ValueType" = CONTRACT,
        *,
        scopes: Sequence[str] = (VERIFY_SCOPE, READ_SCOPE),
        activate: bool = True,
    ) -> OAuthClient:
        """An application that somebody registers and staff activates."""
        key = key_pair()
        application = apps.Application(
            display_name="An application",
            jwks=jwks(key),
            redirect_uris=[REDIRECT_URI],
            flows=[apps.FLOW_AUTHORIZATION_CODE],
            scopes=["openid", *scopes],
            purposes=[apps.PurposeGrounds(purpose=PURPOSE, legal_basis=basis)],
        )
        answer = by(
            apps.CreateApplicationRequest(
                parent=organization, application=application, application_id=fresh("application")
            )
        ).application
        if activate:
            self.staff(apps.ActivateApplicationRequest(name=answer.name))
        client = OAuthClient(
            self.service,
            registered={
                "name": answer.name,
                "client_id": answer.client_id,
                "private_jwk": key,
                "redirect_uri": REDIRECT_URI,
            },
        )

        def known() -> bool:
            answer = client.authorize()
            reason = self.service.logged(answer.headers["x-correlator"])["reason"]
            return answer.status == 302 and (reason != "application_not_active" or not activate)

        wait_until(known, 5)
        return client

    def agree(self, client: OAuthClient, phone_number: str, **more: Any) -> None:
        """The subscriber gives consent to an application."""
        self.staff(
            consent.GiveConsentRequest(
                phone_number=phone_number,
                application=client.registered["name"],
                purpose=PURPOSE,
                scopes=[VERIFY_SCOPE, READ_SCOPE],
                evidence="agreed in a test",
                **more,
            )
        )

    def withdraw(self, client: OAuthClient, phone_number: str) -> None:
        """The subscriber takes it back."""
        self.staff(
            consent.WithdrawConsentRequest(
                phone_number=phone_number, application=client.registered["name"], purpose=PURPOSE
            )
        )

    def opt_out(self, client: OAuthClient, phone_number: str) -> None:
        """The subscriber objects to an application."""
        self.staff(consent.OptOutRequest(phone_number=phone_number, application=client.registered["name"]))


def jwks(key: Mapping[str, Any]) -> keys_pb2.JsonWebKeySet:
    """The public half."""
    return keys_pb2.JsonWebKeySet(keys=[keys_pb2.JsonWebKey(**each) for each in public(key)["keys"]])
