"""CAMARA's user story "Number Verification – device phone number", from an empty registry, from outside.

Each precondition and each exception has its tests, named after it. A precondition is met: the number is verified or
returned. It is not: the refusal is exactly the standard's, and the reason is in the operator's log. Who has to be
onboarded for that is onboarded through the API, over gRPC where the call is by gRPC, and by REST where it is by REST.
"""

import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from functional.authorization import PHONE_1, OAuthClient
from functional.desk import (
    CONSENT,
    CONTRACT,
    LEGITIMATE_INTEREST,
    OTHER_PURPOSE,
    Caller,
    Desk,
    GrpcWire,
    RestWire,
)
from functional.load import wait_until
from functional.sandbox import running_sandbox
from functional.service import PURPOSE, VERIFY_SCOPE, HttpAnswer, Service, request
from functional.serving import REDIRECT_URI, key_pair
from functional.transports import MOBILE_403, STATUSES, Grpc, Rest, Transport
from number_verification.gen.audit.v1 import audit_pb2 as audit
from number_verification.gen.onboarding.v1 import applications_pb2 as apps
from number_verification.gen.onboarding.v1 import organizations_pb2 as orgs
from number_verification.gen.onboarding.v1 import people_pb2 as people
from number_verification.gen.onboarding.v1 import products_pb2 as products
from number_verification.gen.onboarding.v1 import subscriptions_pb2 as subs
from number_verification.gen.onboarding.v1 import usage_pb2 as usage

NUMBER = "+990100000001"
"""Of the device at PHONE_1."""
VERIFY = "/numberverification.v2.NumberVerificationService/VerifyPhoneNumber"
SOON = 5.0
"""Seconds by which what is promised within one must have come on a machine that is busy."""
PLANS: list[dict[str, Any]] = [
    {"id": "standard"},
    {"id": "verify-only", "scopes": [VERIFY_SCOPE]},
    {"id": "other-purpose", "purposes": [OTHER_PURPOSE]},
    {"id": "one-a-day", "daily_quota": 1},
    {"id": "one-a-month", "monthly_quota": 1},
    {"id": "slow", "rate": 0.01, "burst": 1},
]


class Story:
    """Everybody in it.

    Args:
        desk: the operator's staff.
        api: asks about numbers.
    """

    def __init__(self, desk: Desk, api: Transport) -> None:
        self.desk, self.api, self.service = desk, api, desk.service
        self.product = desk.product(*PLANS)
        self.bank = desk.organization()
        self.manager = desk.person(self.bank, people.ROLE_BUSINESS_MANAGER)
        self.administrator = desk.person(self.bank, people.ROLE_ADMINISTRATOR)
        self.partner = desk.organization(channel_partner=True)
        self.partner_manager = desk.person(self.partner, people.ROLE_BUSINESS_MANAGER, people.ROLE_ADMINISTRATOR)
        self.shop = desk.organization(by=self.partner_manager)
        desk.subscribe(self.bank, self.product, "standard", self.manager)
        desk.subscribe(self.shop, self.product, "standard", self.partner_manager)

    def on(self, plan: str) -> OAuthClient:
        """An application of a customer that has this plan and nothing else."""
        customer = self.desk.organization()
        self.desk.subscribe(customer, self.product, plan, self.desk.staff)
        return self.desk.application(customer, self.desk.staff)

    def application(self, basis: "apps.LegalBasis.ValueType" = CONTRACT) -> OAuthClient:
        """An application of the bank."""
        return self.desk.application(self.bank, self.administrator, basis)

    def serves(self, client: OAuthClient) -> None:
        """The number is verified, and returned."""
        assert self.api.verify(client.token(), phoneNumber=NUMBER).body == {"devicePhoneNumberVerified": True}
        assert self.api.share(client.token()).body == {"devicePhoneNumber": NUMBER}

    def reason(self, answer: HttpAnswer) -> str:
        """Why it was refused, by the operator's log."""
        reason: str = self.service.logged(answer.headers["x-correlator"])["reason"]
        return reason

    def no_code(self, client: OAuthClient, error: str, reason: str, source: str = PHONE_1) -> None:
        """The device is sent back with an error."""
        answer = client.authorize(source)
        assert f"error={error}&" in answer.headers["location"]
        assert "code=" not in answer.headers["location"]
        assert self.reason(answer) == reason

    def no_token(self, client: OAuthClient, code: str, error: str, reason: str, status: int = 400) -> HttpAnswer:
        """The code is worth nothing."""
        answer = client.redeem(code)
        assert (answer.status, answer.json["error"]) == (status, error)
        assert answer.headers["cache-control"] == "no-store"
        assert self.reason(answer) == reason
        return answer

    def no_number(self, token: str | None, code: str, reason: str) -> None:
        """The token is worth nothing."""
        refused = self.api.share(token)
        assert refused.code == code
        assert self.service.logged(refused.correlator)["reason"] == reason


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_sandbox(tmp_path_factory.mktemp("story"), ["--empty-registry"]) as started:
        yield started


@pytest.fixture(scope="module", params=["grpc", "rest"])
def story(request: pytest.FixtureRequest, service: Service) -> Iterator[Story]:
    wires: dict[str, tuple[Any, Any]] = {"grpc": (GrpcWire, Grpc), "rest": (RestWire, Rest)}
    wire_class, api_class = wires[request.param]
    with wire_class(service) as wire, api_class(service) as api:
        yield Story(Desk(wire), api)


def soon(condition: Callable[[], bool]) -> None:
    wait_until(condition, SOON)


def fails(client: OAuthClient, error: str) -> Callable[[], bool]:
    """Whether the device is sent back with an error."""
    return lambda: client.callback().get("error") == error


# The customer's business manager and administrator have been onboarded to the operator's platform.


def test_business_manager_and_administrator_onboarded_directly(story: Story) -> None:
    story.serves(story.desk.application(story.bank, story.administrator, LEGITIMATE_INTEREST))


def test_business_manager_and_administrator_onboarded_through_a_channel_partner(story: Story) -> None:
    """The partner onboards the customer's people, who then do their own part."""
    shop = story.desk.organization(by=story.partner_manager)
    manager = story.desk.person(shop, people.ROLE_BUSINESS_MANAGER, by=story.partner_manager)
    administrator = story.desk.person(shop, people.ROLE_ADMINISTRATOR, by=story.partner_manager)
    story.desk.subscribe(shop, story.product, "standard", manager)
    story.serves(story.desk.application(shop, administrator))


def test_business_manager_not_onboarded(story: Story) -> None:
    stranger = Caller(story.desk.wire, "nobody", key_pair())
    answer = stranger.asked()
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    assert story.reason(answer) == "application_unknown"
    wanted = subs.CreateSubscriptionRequest(
        parent=story.bank, subscription=subs.Subscription(product=story.product, plan="standard")
    )
    for token in ("x" * 43, story.service.external_token()):
        stranger.token = token
        assert stranger.refused(wanted) == "UNAUTHENTICATED"


def test_business_manager_suspended(story: Story) -> None:
    manager = story.desk.person(story.bank, people.ROLE_BUSINESS_MANAGER)
    reads = subs.ListSubscriptionsRequest(parent=story.bank)
    assert manager(reads).subscriptions
    listed = story.desk.staff(people.ListPeopleRequest(parent=story.bank, page_size=1000)).people
    (name,) = (person.name for person in listed if person.client_id == manager.client_id)
    story.desk.staff(people.SuspendPersonRequest(name=name))
    soon(lambda: not manager.known())
    assert manager.asked().json["error"] == "unauthorized_client"
    assert story.reason(manager.asked()) == "person_suspended"
    assert manager.refused(reads) == "PERMISSION_DENIED"


def test_nobody_acts_for_another_customer(story: Story) -> None:
    """What is out of reach looks as if it were not there."""
    for caller in (story.manager, story.partner_manager):
        others = story.shop if caller is story.manager else story.bank
        wanted = subs.Subscription(product=story.product, plan="standard")
        assert caller.refused(subs.CreateSubscriptionRequest(parent=others, subscription=wanted)) == "NOT_FOUND"
        assert caller.refused(orgs.GetOrganizationRequest(name=others)) == "NOT_FOUND"


# The business manager has subscribed to the product of the catalogue.


def test_product_subscribed(story: Story) -> None:
    customer = story.desk.organization()
    manager = story.desk.person(customer, people.ROLE_BUSINESS_MANAGER)
    catalogue = [product.name for product in manager(products.ListProductsRequest(page_size=1000)).products]
    assert story.product in catalogue
    story.desk.subscribe(customer, story.product, "standard", manager)
    story.serves(story.desk.application(customer, story.desk.staff))


def test_product_not_subscribed_by_who_may_not(story: Story) -> None:
    wanted = subs.CreateSubscriptionRequest(
        parent=story.bank, subscription=subs.Subscription(product=story.product, plan="standard")
    )
    assert story.administrator.refused(wanted) == "PERMISSION_DENIED"
    name = story.desk.subscribe(story.desk.organization(), story.product, "standard", story.desk.staff, activate=False)
    assert story.manager.refused(subs.ActivateSubscriptionRequest(name=name)) == "PERMISSION_DENIED"


@pytest.mark.parametrize("requested", [False, True], ids=["not subscribed", "subscription requested"])
def test_product_not_subscribed(story: Story, requested: bool) -> None:
    customer = story.desk.organization()
    if requested:
        story.desk.subscribe(customer, story.product, "standard", story.desk.staff, activate=False)
    client = story.desk.application(customer, story.desk.staff)
    story.no_code(client, "unauthorized_client", "not_subscribed")
    story.no_token(client, "x" * 43, "unauthorized_client", "not_subscribed")


# The administrator has onboarded the customer's users and applications.


def test_users_and_applications_onboarded(story: Story) -> None:
    user = story.desk.person(story.bank, people.ROLE_USER, by=story.administrator)
    client = story.application()
    read = user(apps.GetApplicationRequest(name=client.registered["name"])).application
    assert (read.client_id, read.state) == (client.registered["client_id"], apps.APPLICATION_STATE_ACTIVE)
    suspend = apps.SuspendApplicationRequest(name=read.name)
    assert user.refused(suspend) == "PERMISSION_DENIED"
    story.serves(client)


def test_application_not_onboarded(story: Story) -> None:
    """A stranger is not redirected anywhere (RFC 6749 §4.1.2.1)."""
    stranger = {"client_id": "nobody", "private_jwk": key_pair(), "redirect_uri": REDIRECT_URI}
    client = OAuthClient(story.service, registered=stranger)
    answer = client.authorize()
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")
    assert story.reason(answer) == "application_unknown"
    story.no_token(client, "x" * 43, "invalid_client", "application_unknown", 401)


def test_application_registered_but_not_active(story: Story) -> None:
    client = story.desk.application(story.bank, story.administrator, activate=False)
    story.no_code(client, "unauthorized_client", "application_not_active")
    story.no_token(client, "x" * 43, "unauthorized_client", "application_not_active")
    activate = apps.ActivateApplicationRequest(name=client.registered["name"])
    assert story.administrator.refused(activate) == "PERMISSION_DENIED"
    story.desk.staff(activate)
    soon(client.may_authorize)
    story.serves(client)


class Barred(NamedTuple):
    """An application that was served and is not any more."""

    reason: str
    bar: Callable[[Story, str, str], Any]
    """Bars it, given the application's name and that of its customer's subscription."""
    lift: Callable[[Story, str, str], Any] | None = None
    """Takes that back, where it can be."""


def of(name: str) -> str:
    return "/".join(name.split("/")[:2])


BARRED = {
    "subscription suspended": Barred(
        "subscription_suspended",
        lambda story, _, subscription: story.desk.staff(subs.SuspendSubscriptionRequest(name=subscription)),
        lambda story, _, subscription: story.desk.staff(subs.ReinstateSubscriptionRequest(name=subscription)),
    ),
    "subscription ended": Barred(
        "not_subscribed",
        lambda story, _, subscription: story.desk.staff(subs.EndSubscriptionRequest(name=subscription)),
    ),
    "application suspended": Barred(
        "application_suspended",
        lambda story, name, _: story.partner_manager(apps.SuspendApplicationRequest(name=name)),
        lambda story, name, _: story.desk.staff(apps.ReinstateApplicationRequest(name=name)),
    ),
    "application retired": Barred(
        "application_retired",
        lambda story, name, _: story.partner_manager(apps.RetireApplicationRequest(name=name)),
    ),
    "customer suspended": Barred(
        "customer_suspended",
        lambda story, name, _: story.desk.staff(orgs.SuspendOrganizationRequest(name=of(name))),
        lambda story, name, _: story.desk.staff(orgs.ReinstateOrganizationRequest(name=of(name))),
    ),
    "channel partner suspended": Barred(
        "channel_partner_suspended",
        lambda story, *_: story.desk.staff(orgs.SuspendOrganizationRequest(name=story.partner)),
        lambda story, *_: story.desk.staff(orgs.ReinstateOrganizationRequest(name=story.partner)),
    ),
}


@pytest.mark.parametrize("case", BARRED)
def test_served_no_more(story: Story, case: str) -> None:
    """Behind a channel partner; at authorization, with a code, and with a token that were given before."""
    barred = BARRED[case]
    customer = story.desk.organization(by=story.partner_manager)
    subscription = story.desk.subscribe(customer, story.product, "standard", story.partner_manager)
    client = story.desk.application(customer, story.partner_manager)
    name = client.registered["name"]
    code, token = client.code(), client.token()
    barred.bar(story, name, subscription)
    soon(fails(client, "unauthorized_client"))
    story.no_code(client, "unauthorized_client", barred.reason)
    story.no_token(client, code, "unauthorized_client", barred.reason)
    story.no_number(token, "PERMISSION_DENIED", barred.reason)
    if barred.lift is not None:
        barred.lift(story, name, subscription)
        soon(client.may_authorize)
        story.serves(client)


# The means to get the access token are known.


def test_means_to_get_the_access_token_known(story: Story) -> None:
    issuer = story.service.description["issuer"]
    found = request(issuer, "GET", "/.well-known/openid-configuration").json
    assert found["issuer"] == issuer
    assert found["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert found["code_challenge_methods_supported"] == ["S256"]
    client = story.application()
    assert found["authorization_endpoint"] == f"{issuer}/oauth2/authorize"
    assert found["token_endpoint"] == f"{issuer}/oauth2/token"
    story.serves(client)


def test_means_to_get_the_access_token_not_known(story: Story) -> None:
    """No secret, no password, no key of another's."""
    client, other = story.application(), story.application()
    assertion = other.assertion(iss=client.registered["client_id"], sub=client.registered["client_id"])
    for changes in (
        {"client_assertion": None, "client_id": client.registered["client_id"]},
        {"client_assertion": assertion},
    ):
        answer = client.redeem(client.code(), **changes)
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")


# The operator checks access.


def test_scope_not_in_the_plan(story: Story) -> None:
    client = story.on("verify-only")
    story.no_code(client, "invalid_scope", "scope_missing")
    token = client.token(scope=f"{PURPOSE} {VERIFY_SCOPE}")
    story.no_number(token, "PERMISSION_DENIED", "scope_missing")
    token = client.token(scope=f"{PURPOSE} {VERIFY_SCOPE}")
    assert story.api.verify(token, phoneNumber=NUMBER).body == {"devicePhoneNumberVerified": True}


def test_purpose_not_allowed(story: Story) -> None:
    story.no_code(story.on("other-purpose"), "invalid_scope", "purpose_not_allowed")


@pytest.mark.parametrize(
    ("plan", "error", "reason", "longest"),
    [
        ("one-a-day", "quota_exceeded", "daily_quota", 86_400),
        ("one-a-month", "quota_exceeded", "monthly_quota", 31 * 86_400),
        ("slow", "too_many_requests", "application_rate", 100),
    ],
)
def test_quota_or_rate_used_up(story: Story, plan: str, error: str, reason: str, longest: int) -> None:
    client = story.on(plan)
    assert story.api.share(client.token()).body == {"devicePhoneNumber": NUMBER}
    code = client.code()
    # The code is not taken: it is as good as before when there is room again.
    for _ in range(2):
        answer = story.no_token(client, code, error, reason, 429)
        assert 0 < int(answer.headers["retry-after"]) <= longest


# The operator checks the end user's approval.


def test_end_users_approval_given(story: Story) -> None:
    client = story.application(CONSENT)
    story.no_code(client, "consent_required", "consent_missing")
    story.desk.agree(client, NUMBER)
    story.serves(client)
    # phone-2's user was not asked.
    story.no_code(client, "consent_required", "consent_missing", "127.1.0.2")


def test_consent_withdrawn_between_code_and_token(story: Story) -> None:
    client = story.application(CONSENT)
    story.desk.agree(client, NUMBER)
    code = client.code()
    story.desk.withdraw(client, NUMBER)
    story.no_token(client, code, "invalid_grant", "consent_withdrawn")
    story.no_code(client, "consent_required", "consent_withdrawn")


def refused_at_last(story: Story, tokens: list[str]) -> None:
    """Calls are refused within a second. Each needs a token of its own."""

    def refused() -> bool:
        time.sleep(SOON / len(tokens))
        return story.api.share(tokens.pop()).code != "OK"

    soon(refused)


def test_consent_withdrawn_between_token_and_call(story: Story) -> None:
    client = story.application(CONSENT)
    story.desk.agree(client, NUMBER)
    last, *tokens = [client.token() for _ in range(20)]
    story.desk.withdraw(client, NUMBER)
    refused_at_last(story, tokens)
    story.no_number(last, "UNAUTHENTICATED", "consent_withdrawn")
    story.desk.agree(client, NUMBER)
    soon(lambda: story.api.share(client.token()).code == "OK")


def test_consent_expired(story: Story) -> None:
    client = story.application(CONSENT)
    expires = Timestamp()
    expires.FromMilliseconds(time.time_ns() // 1_000_000 + 1500)
    story.desk.agree(client, NUMBER, expire_time=expires)
    code = client.code()
    soon(fails(client, "consent_required"))
    story.no_code(client, "consent_required", "consent_expired")
    story.no_token(client, code, "invalid_grant", "consent_expired")


@pytest.mark.parametrize("basis", [CONSENT, LEGITIMATE_INTEREST], ids=["consent", "legitimate interest"])
def test_end_user_opted_out(story: Story, basis: "apps.LegalBasis.ValueType") -> None:
    client = story.application(basis)
    if basis == CONSENT:
        story.desk.agree(client, NUMBER)
    code, (last, *tokens) = client.code(), [client.token() for _ in range(20)]
    story.desk.opt_out(client, NUMBER)
    story.no_code(client, "consent_required", "opted_out")
    story.no_token(client, code, "invalid_grant", "opted_out")
    refused_at_last(story, tokens)
    story.no_number(last, "UNAUTHENTICATED", "opted_out")


def test_end_user_cannot_opt_out_of_a_contract(story: Story) -> None:
    client = story.application(CONTRACT)
    story.desk.opt_out(client, NUMBER)
    story.serves(client)


# The operator gives an access token based on network authentication.


@pytest.mark.parametrize("device", ["phone-1", "phone-2", "ipv6", "cgnat", "cgnat-neighbour"])
def test_access_token_based_on_network_authentication(story: Story, device: str) -> None:
    client = story.application()
    source, headers, described = attached(story.service, device)
    outcome = story.api.share(client.token(source, headers))
    assert outcome.body == {"devicePhoneNumber": described["phone_number"]}
    other = story.api.verify(client.token(source, headers), phoneNumber="+990100009999")
    assert other.body == {"devicePhoneNumberVerified": False}


def attached(service: Service, name: str) -> tuple[str, list[tuple[str, str]], dict[str, Any]]:
    """From where a device calls, with what the proxy in front writes."""
    (device,) = (each for each in service.description["devices"] if each["name"] == name)
    proxy = service.description["trusted_proxy"]["address"]
    return device.get("address", proxy), [("Forwarded", device["forwarded"])] if "forwarded" in device else [], device


# Exception: the credentials are bad or expired.


def test_credentials_bad_or_expired(story: Story) -> None:
    client = story.application()
    used = client.token()
    assert story.api.share(used).code == "OK"
    now = int(time.time())
    expired = story.service.external_token(iat=now - 120, exp=now - 60)
    for token, reason in (
        (None, "token_missing"),
        ("not a token", "token_malformed"),
        ("x" * 43, "token_unknown"),
        (used, "token_unknown"),
        (expired, "token_expired"),
        (story.service.external_token(key=None, aud="somebody else"), "token_audience"),
    ):
        story.no_number(token, "UNAUTHENTICATED", reason)
    assert STATUSES["UNAUTHENTICATED"] == 401


# Exception: the input is not valid.


def test_phone_number_without_plus(story: Story) -> None:
    client = story.application()
    for fields in ({"phoneNumber": NUMBER[1:]}, {"hashedPhoneNumber": "00"}, {}):
        refused = story.api.verify(client.token(), **fields)
        assert refused.code == "INVALID_ARGUMENT"
        assert story.service.logged(refused.correlator)["reason"] == "input_malformed"
    assert STATUSES["INVALID_ARGUMENT"] == 400


# Exception: the operator is not able to provide the service.


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("home-wifi", "off_net"),
        ("wifi-calling", "wlan_access"),
        ("hotspot-guest", "tethered"),
        ("hotspot-apn", "tethered"),
        ("company-laptop", "apn_not_allowed"),
        ("cgnat-port-unknown", "port_missing"),
    ],
)
def test_not_able_to_provide_on_wifi_or_a_hotspot(story: Story, device: str, reason: str) -> None:
    source, headers, _ = attached(story.service, device)
    client = story.application()
    answer = client.authorize(source, headers)
    assert "error=access_denied&" in answer.headers["location"]
    assert story.reason(answer) == reason


def test_not_able_to_provide_through_a_vpn(story: Story) -> None:
    """Whoever comes out of a tunnel has an address of somebody else's network, whatever they write about themselves."""
    client = story.application()
    for headers in ([], [("Forwarded", f'for="{PHONE_1}"')], [("X-Forwarded-For", PHONE_1)]):
        answer = client.authorize("127.77.0.1", headers)
        assert "error=access_denied&" in answer.headers["location"]
        assert story.reason(answer) == "off_net"


@pytest.mark.parametrize("amr", [["sms"], ["pwd", "otp"], None], ids=["sms", "password", "unknown"])
def test_not_authenticated_by_the_mobile_network(story: Story, amr: list[str] | None) -> None:
    """Tokens of an issuer that the operator trusts, whose user came over Wi-Fi, a VPN or a hotspot."""
    story.no_number(story.service.external_token(amr=amr), MOBILE_403, "not_mobile_authenticated")
    assert STATUSES[MOBILE_403] == 403


# What is left of one verification.


@pytest.mark.parametrize("channel", ["direct", "through a channel partner"])
def test_everything_carries_application_customer_and_channel_partner(story: Story, channel: str) -> None:
    direct = channel == "direct"
    customer, partner = (story.bank, "") if direct else (story.shop, story.partner)
    client = story.desk.application(customer, story.administrator if direct else story.partner_manager)
    application = client.registered["name"]
    whose = (application, customer, partner)
    answer = client.redeem(client.code())
    outcome = story.api.verify(answer.json["access_token"], phoneNumber=NUMBER)
    assert outcome.body == {"devicePhoneNumberVerified": True}

    for correlator in (answer.headers["x-correlator"], outcome.correlator):
        line = story.service.logged(correlator)
        assert (line["application"], line["customer"], line["channel_partner"]) == whose
        assert NUMBER[1:] not in str(line)

    found = story.desk.staff(audit.ListAuditRecordsRequest(application=application, page_size=1000)).records
    # One more authorization was made to see whether the application is known yet.
    kinds = [record.kind for record in found if record.outcome == "OK"]
    assert kinds[-3:] == [audit.AUDIT_KIND_AUTHORIZATION, audit.AUDIT_KIND_TOKEN, audit.AUDIT_KIND_CALL]
    assert {(each.application, each.customer, each.channel_partner) for each in found} == {whose}
    assert {each.masked_phone_number for each in found if each.outcome == "OK"} == {"+990*******01"}
    for by in ({"customer": customer}, {"channel_partner": partner}):
        if all(by.values()):
            records = story.desk.staff(audit.ListAuditRecordsRequest(page_size=1000, phone_number=NUMBER, **by)).records
            assert outcome.correlator in {record.correlator for record in records}

    labels = f'application="{application}",channel_partner="{partner}",code="OK",customer="{customer}"'
    metrics = story.service.admin("/metrics").body.decode()
    assert f'number_verification_application_calls_total{{{labels},operation="{VERIFY}"}} 1.0' in metrics

    today = datetime.datetime.now(datetime.UTC).date()
    days = {"first_day": str(today - datetime.timedelta(1)), "last_day": str(today), "page_size": 1000}
    query = usage.QueryUsageRequest(parent=customer, application=application, **days)

    def rows(by: Caller) -> dict[tuple[str, ...], int]:
        return {
            (row.application, row.customer, row.channel_partner, row.operation, row.outcome): row.count
            for row in by(query).rows
        }

    call = (*whose, VERIFY, "OK")
    seen_by = story.manager if direct else story.partner_manager
    soon(lambda: rows(seen_by).get(call) == 1)
    assert rows(seen_by)[*whose, "token", "OK"] == 1
    assert (story.partner_manager if direct else story.manager).refused(query) == "NOT_FOUND"
