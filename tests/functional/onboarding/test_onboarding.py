"""From an empty registry to a customer that could be served, and what a caller meets on the way."""

from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functional.onboarding.wire import Call, Outcome
from number_verification.domain.onboarding.principal import Principal
from number_verification.gen.onboarding.v1 import applications_pb2 as apps
from number_verification.gen.onboarding.v1 import keys_pb2, people_pb2, products_pb2, usage_pb2
from number_verification.gen.onboarding.v1 import organizations_pb2 as orgs
from number_verification.gen.onboarding.v1 import subscriptions_pb2 as subs
from number_verification.services.onboarding.calls import MAX_PAGE_BYTES
from unit.domain.onboarding.world import (
    ADMINISTRATOR,
    AGGREGATOR,
    BANK,
    FRAUD,
    KEY,
    MANAGER,
    NOW,
    PARTNER,
    PRODUCT,
    SHOP,
    STAFF,
    USER,
    VERIFY,
    VERIFY_SCOPE,
)

APP = f"{BANK}/applications/banking-app"
CUSTOMER, CHANNEL_PARTNER = orgs.ORGANIZATION_KIND_CUSTOMER, orgs.ORGANIZATION_KIND_CHANNEL_PARTNER
REQUEST_ID = "7b0c1b1e-0c5f-4a52-9a5d-6a2f0d6e3c11"


class Desk:
    """Calls that are to succeed, and that are not."""

    def __init__(self, call: Call) -> None:
        self.call = call

    def __call__(self, request: Any, principal: Principal = STAFF) -> Any:
        outcome = self.call(principal, request)
        assert outcome.code == "OK", outcome.text
        return outcome.response

    def refused(self, request: Any, principal: Principal = STAFF) -> Outcome:
        outcome = self.call(principal, request)
        assert outcome.code != "OK"
        return outcome


@pytest.fixture
def desk(transport: Call, on_database: None) -> Desk:
    return Desk(transport)


def onboard(desk: Desk) -> None:
    """A customer, a channel partner and a product."""
    for name, kind in ((BANK, CUSTOMER), (AGGREGATOR, CHANNEL_PARTNER)):
        organization = orgs.Organization(kind=kind, display_name="Somebody")
        desk(orgs.CreateOrganizationRequest(organization=organization, organization_id=name.partition("/")[2]))
    plans = [
        products_pb2.Plan(id="basic", display_name="Basic", rate=0.5, burst=10, daily_quota=100),
        products_pb2.Plan(id="large", display_name="Large"),
    ]
    product = products_pb2.Product(display_name="NV", operations=[VERIFY], purposes=[FRAUD], plans=plans)
    desk(products_pb2.CreateProductRequest(product=product, product_id="number-verification"))


def application(**changes: Any) -> apps.Application:
    good: dict[str, Any] = {
        "display_name": "Banking app",
        "jwks": keys_pb2.JsonWebKeySet(keys=[keys_pb2.JsonWebKey(**KEY)]),
        "redirect_uris": ["https://bank.example/callback"],
        "scopes": ["openid", VERIFY_SCOPE],
        "purposes": [apps.PurposeGrounds(purpose=FRAUD, legal_basis=apps.LEGAL_BASIS_CONSENT)],
    }
    return apps.Application(**{**good, **changes})


def register(desk: Desk, **changes: Any) -> apps.Application:
    request = apps.CreateApplicationRequest(
        parent=BANK, application=application(**changes), application_id="banking-app"
    )
    return desk(request, ADMINISTRATOR).application  # type: ignore[no-any-return]


def test_a_direct_customer_from_nothing_to_an_active_application(desk: Desk) -> None:
    onboard(desk)
    person = people_pb2.Person(
        display_name="Grace",
        roles=[people_pb2.ROLE_ADMINISTRATOR, people_pb2.ROLE_BUSINESS_MANAGER],
        jwks=keys_pb2.JsonWebKeySet(keys=[keys_pb2.JsonWebKey(**KEY)]),
    )
    made = desk(people_pb2.CreatePersonRequest(parent=BANK, person=person, person_id="grace")).person
    assert (made.name, made.state, made.etag) == (f"{BANK}/people/grace", people_pb2.PERSON_STATE_ACTIVE, "1")
    assert made.jwks == person.jwks
    assert made.create_time.ToMilliseconds() == NOW

    wanted = subs.Subscription(product=PRODUCT, plan="basic")
    subscription = desk(subs.CreateSubscriptionRequest(parent=BANK, subscription=wanted), MANAGER).subscription
    assert subscription.state == subs.SUBSCRIPTION_STATE_REQUESTED
    activation = subs.ActivateSubscriptionRequest(name=subscription.name, etag=subscription.etag)
    assert desk(activation).subscription.state == subs.SUBSCRIPTION_STATE_ACTIVE

    registered = register(desk)
    assert (registered.state, list(registered.flows)) == (
        apps.APPLICATION_STATE_REGISTERED,
        [apps.FLOW_AUTHORIZATION_CODE],
    )
    active = desk(apps.ActivateApplicationRequest(name=APP, etag="1")).application
    assert active.state == apps.APPLICATION_STATE_ACTIVE
    assert desk(apps.GetApplicationRequest(name=APP), USER).application == active


def test_a_customer_behind_a_channel_partner(desk: Desk) -> None:
    onboard(desk)
    organization = orgs.Organization(display_name="Shop")
    made = desk(orgs.CreateOrganizationRequest(organization=organization, organization_id="shop"), PARTNER)
    assert (made.organization.kind, made.organization.channel_partner) == (CUSTOMER, AGGREGATOR)
    request = apps.CreateApplicationRequest(parent=SHOP, application=application())
    name = desk(request, PARTNER).application.name
    assert name.startswith(f"{SHOP}/applications/")
    out_of_reach = desk.refused(apps.GetApplicationRequest(name=name), ADMINISTRATOR)
    missing = desk.refused(apps.GetApplicationRequest(name=f"{BANK}/applications/nothing"), ADMINISTRATOR)
    assert (out_of_reach.code, out_of_reach.text) == (missing.code, missing.text) == ("NOT_FOUND", missing.text)
    assert (out_of_reach.reason, missing.reason) == ("out_of_reach", "no_such_entity")


def test_what_is_wrong_is_said_by_its_path(desk: Desk) -> None:
    onboard(desk)
    bad = application(
        jwks=keys_pb2.JsonWebKeySet(keys=[keys_pb2.JsonWebKey(kty="RSA", n="AQAB", e="AQAB")]),
        redirect_uris=["https://bank.example/#x", "https://bank.example/*"],
        purposes=[apps.PurposeGrounds(purpose="dpv:Whatever")],
    )
    refusal = desk.refused(apps.CreateApplicationRequest(parent=BANK, application=bad), ADMINISTRATOR)
    assert refusal.code == "INVALID_ARGUMENT"
    for said in (
        "application.jwks.keys[0]: cannot be used: an RSA key that is too short or too long",
        "application.redirectUris[0]: has a fragment",
        "application.redirectUris[1]: has a wildcard",
        "application.purposes[0].purpose: is not a purpose",
        "application.purposes[0].legalBasis: is required",
    ):
        assert said in refusal.text


def update(resource: apps.Application, *paths: str) -> apps.UpdateApplicationRequest:
    return apps.UpdateApplicationRequest(application=resource, update_mask=FieldMask(paths=paths) if paths else None)


def test_update_masks(desk: Desk) -> None:
    onboard(desk)
    register(desk)
    only_name = update(apps.Application(name=APP, display_name="Other", jwks_uri="https://x.example/"), "display_name")
    after = desk(only_name, ADMINISTRATOR).application
    assert (after.display_name, after.jwks_uri, after.etag) == ("Other", "", "2")
    implied = update(apps.Application(name=APP, requires_dpop=True))
    after = desk(implied, ADMINISTRATOR).application
    assert (after.display_name, after.requires_dpop) == ("Other", True)
    everything = update(apps.Application(name=APP, display_name="Bare", flows=[apps.FLOW_CIBA]), "*")
    after = desk(everything, ADMINISTRATOR).application
    assert (after.display_name, after.requires_dpop, list(after.scopes), after.HasField("jwks")) == (
        "Bare",
        False,
        [],
        False,
    )
    refusal = desk.refused(update(apps.Application(name=APP), "scopes", "state"), ADMINISTRATOR)
    assert (refusal.code, refusal.text) == ("INVALID_ARGUMENT", "updateMask.paths[1]: cannot be changed")


def test_stale_and_forged_etags(desk: Desk) -> None:
    onboard(desk)
    register(desk)
    desk(update(apps.Application(name=APP, display_name="One", etag="1")), ADMINISTRATOR)
    for stale in ("1", "3", "02"):
        refusal = desk.refused(update(apps.Application(name=APP, display_name="Two", etag=stale)), ADMINISTRATOR)
        assert (refusal.code, refusal.reason) == ("ABORTED", "stale_etag")
        assert desk.refused(apps.RetireApplicationRequest(name=APP, etag=stale)).code == "ABORTED"
    for forged in ("x", "-1", "9" * 19):
        refusal = desk.refused(update(apps.Application(name=APP, display_name="Two", etag=forged)), ADMINISTRATOR)
        assert refusal.code == "INVALID_ARGUMENT"
    assert desk(apps.GetApplicationRequest(name=APP)).application.etag == "2"


def test_states_names_and_what_is_in_the_way(desk: Desk) -> None:
    onboard(desk)
    register(desk)
    assert desk.refused(apps.ReinstateApplicationRequest(name=APP)).code == "FAILED_PRECONDITION"
    taken = apps.CreateApplicationRequest(parent=BANK, application=application(), application_id="banking-app")
    assert desk.refused(taken).code == "ALREADY_EXISTS"
    refusal = desk.refused(orgs.CloseOrganizationRequest(name=BANK))
    assert (refusal.code, refusal.text) == ("FAILED_PRECONDITION", f"{APP}: is not retired")
    desk(apps.RetireApplicationRequest(name=APP))
    assert desk(orgs.CloseOrganizationRequest(name=BANK)).organization.state == orgs.ORGANIZATION_STATE_CLOSED
    assert (
        desk.refused(apps.CreateApplicationRequest(parent=BANK, application=application())).reason == "customer_closed"
    )


def test_a_request_that_is_sent_again(desk: Desk) -> None:
    onboard(desk)
    request = apps.CreateApplicationRequest(parent=BANK, application=application(), request_id=REQUEST_ID)
    first = desk(request, ADMINISTRATOR)
    assert desk(request, ADMINISTRATOR) == first
    request.application.display_name = "Other"
    refusal = desk.refused(request, ADMINISTRATOR)
    assert (refusal.code, refusal.text) == ("INVALID_ARGUMENT", "requestId: was used for another request")
    assert len(desk(apps.ListApplicationsRequest(parent=BANK)).applications) == 1
    request.request_id = "not-a-uuid"
    assert desk.refused(request, ADMINISTRATOR).code == "INVALID_ARGUMENT"


def test_page_by_page(desk: Desk) -> None:
    onboard(desk)
    for number in range(5):
        wanted = apps.Application(display_name="App")
        desk(apps.CreateApplicationRequest(parent=BANK, application=wanted, application_id=f"app-{number}"))
    for parent in (BANK, "organizations/-"):
        listed, token = [], ""
        while True:
            request = apps.ListApplicationsRequest(parent=parent, page_size=2, page_token=token)
            page = desk(request, ADMINISTRATOR)
            listed += [each.name for each in page.applications]
            token = page.next_page_token
            if not token:
                break
        assert listed == [f"{BANK}/applications/app-{number}" for number in range(5)]
    desk(apps.RetireApplicationRequest(name=listed[3]))
    retired = apps.ListApplicationsRequest(parent=BANK, state=apps.APPLICATION_STATE_RETIRED)
    assert [each.name for each in desk(retired).applications] == [listed[3]]


def test_a_page_is_no_longer_than_clients_take(desk: Desk) -> None:
    """However much one customer registers: gRPC clients take 4 MiB, and a listing is for all customers."""
    onboard(desk)
    great = [f"https://bank.example/{index}/{'x' * 1990}" for index in range(7)]
    for number in range(180):
        desk(
            apps.CreateApplicationRequest(
                parent=BANK,
                application=apps.Application(display_name="App", redirect_uris=great),
                application_id=f"app-{number:03}",
            )
        )
    listed, token = [], ""
    while True:
        page = desk(apps.ListApplicationsRequest(parent="organizations/-", page_size=1000, page_token=token))
        assert 0 < page.ByteSize() < MAX_PAGE_BYTES + 65_536
        listed += [each.name for each in page.applications]
        token = page.next_page_token
        if not token:
            break
    assert listed == [f"{BANK}/applications/app-{number:03}" for number in range(180)]


def test_page_sizes_and_tokens_of_other_listings(desk: Desk) -> None:
    onboard(desk)
    token = desk(orgs.ListOrganizationsRequest(page_size=1)).next_page_token
    assert token
    active = orgs.ORGANIZATION_STATE_ACTIVE
    for request in (
        orgs.ListOrganizationsRequest(page_token=token, state=active),
        orgs.ListOrganizationsRequest(page_token=token[:-1]),
        products_pb2.ListProductsRequest(page_token=token),
        apps.ListApplicationsRequest(parent=BANK, page_token=token),
        usage_pb2.QueryUsageRequest(parent=BANK, first_day="2026-11-01", last_day="2026-11-01", page_token=token),
    ):
        refusal = desk.refused(request)
        assert (refusal.code, refusal.text) == (
            "INVALID_ARGUMENT",
            "pageToken: is not one that was returned for this listing",
        )
    assert len(desk(orgs.ListOrganizationsRequest(page_size=1000)).organizations) == 2
    refusal = desk.refused(orgs.ListOrganizationsRequest(page_size=1001))
    assert (refusal.code, refusal.text) == ("INVALID_ARGUMENT", "pageSize: must be at most 1000")


def test_a_page_token_of_another_caller_shows_nothing_out_of_reach(desk: Desk) -> None:
    onboard(desk)
    token = desk(orgs.ListOrganizationsRequest(page_size=1)).next_page_token
    page = desk(orgs.ListOrganizationsRequest(page_token=token), ADMINISTRATOR)
    assert [each.name for each in page.organizations] == [BANK]


BOUNDS = [
    (orgs.CreateOrganizationRequest(organization=orgs.Organization(kind=CUSTOMER, display_name="B" * 200)), True),
    (orgs.CreateOrganizationRequest(organization=orgs.Organization(kind=CUSTOMER, display_name="B" * 201)), False),
    (orgs.CreateOrganizationRequest(organization=orgs.Organization(kind=CUSTOMER, display_name="a\tb")), False),
    (orgs.CreateOrganizationRequest(organization=orgs.Organization(kind=CUSTOMER, display_name="a\u202eb")), False),
    (orgs.CreateOrganizationRequest(organization=orgs.Organization(kind=CUSTOMER, display_name="")), False),
    *(
        (
            orgs.CreateOrganizationRequest(
                organization=orgs.Organization(kind=CUSTOMER, display_name="B"), organization_id=chosen
            ),
            fine,
        )
        for chosen, fine in (
            ("abc", True),
            ("a" * 63, True),
            ("ab", False),
            ("a" * 64, False),
            ("1bc", False),
            ("a-b-", False),
            ("ABC", False),
            ("a/b", False),
            ("äbc", False),
            ("abc\n", False),
        )
    ),
]


@pytest.mark.parametrize(("request_", "fine"), BOUNDS)
def test_fields_at_and_over_their_bounds(desk: Desk, request_: Any, fine: bool) -> None:
    assert desk.call(STAFF, request_).code == ("OK" if fine else "INVALID_ARGUMENT")


def test_usage_is_empty_before_anything_was_used(desk: Desk) -> None:
    onboard(desk)
    query = usage_pb2.QueryUsageRequest(parent=BANK, first_day="2026-11-01", last_day="2026-11-30")
    assert desk(query, MANAGER) == usage_pb2.QueryUsageResponse()
    query.last_day = "2028-11-30"
    assert desk.refused(query, MANAGER).text == "lastDay: must be less than 400 days after firstDay"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(name=TEXT, uri=TEXT, token=TEXT, path=st.from_regex(r"[a-z]{1,9}(_[a-z]{1,9}){0,2}", fullmatch=True))
def test_whatever_is_sent_it_is_no_fault_of_ours(desk: Desk, name: str, uri: str, token: str, path: str) -> None:
    wanted = apps.Application(display_name=name, redirect_uris=[uri], jwks_uri=uri)
    for request in (
        orgs.CreateOrganizationRequest(organization=orgs.Organization(kind=CUSTOMER, display_name=name)),
        apps.CreateApplicationRequest(parent=BANK, application=wanted),
        orgs.ListOrganizationsRequest(page_token=token),
        update(apps.Application(name=APP, display_name=name), path),
    ):
        assert desk.call(STAFF, request).code in ("OK", "INVALID_ARGUMENT", "NOT_FOUND")
