import pytest

from number_verification.domain.onboarding import organizations
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.organization import Organization, OrganizationKind, OrganizationState
from number_verification.domain.onboarding.organizations import OrganizationDraft
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.steps import (
    CLOSE_ORGANIZATION,
    REINSTATE_ORGANIZATION,
    SUSPEND_ORGANIZATION,
    Step,
)
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.domain.refusal import Kind, Reason
from unit.domain.onboarding.memory import MemoryRegistry
from unit.domain.onboarding.world import (
    AGGREGATOR,
    BANK,
    HOMELESS,
    NOW,
    PARTNER,
    PRODUCT,
    RIVAL,
    RIVAL_SHOP,
    RULES,
    SHOP,
    STAFF,
    organization,
    refused,
    world,
)

CUSTOMER, CHANNEL_PARTNER = OrganizationKind.CUSTOMER, OrganizationKind.CHANNEL_PARTNER


def create(
    registry: MemoryRegistry, principal: Principal, draft: OrganizationDraft, organization_id: str = "new"
) -> Organization:
    with registry.writing() as writing:
        return organizations.create(writing, principal, RULES, draft, organization_id, NOW)


def update(
    registry: MemoryRegistry, principal: Principal, name: str, draft: OrganizationDraft, etag: str = ""
) -> Organization:
    with registry.writing() as writing:
        return organizations.update(writing, principal, name, draft, frozenset({"display_name"}), etag, NOW)


def go(registry: MemoryRegistry, principal: Principal, name: str, step: Step) -> Organization:
    with registry.writing() as writing:
        return organizations.go(writing, principal, name, step, "", NOW)


def test_staff_onboards_a_customer() -> None:
    made = create(world(), STAFF, OrganizationDraft(CUSTOMER, "Cafe\u0301"))
    assert (made.name, made.kind, made.display_name) == ("organizations/new", CUSTOMER, "Café")
    assert (made.channel_partner, made.state, made.revision) == ("", OrganizationState.ACTIVE, 1)


def test_a_name_is_chosen_where_none_is_given() -> None:
    assert create(world(), STAFF, OrganizationDraft(CUSTOMER, "X"), "").name.startswith("organizations/chosen-")


def test_a_name_is_given_once() -> None:
    with refused(Kind.ALREADY_EXISTS, Reason.NAME_TAKEN):
        create(world(), STAFF, OrganizationDraft(CUSTOMER, "X"), "bank")


def test_staff_onboards_a_channel_partner_and_its_customer() -> None:
    registry = world()
    partner = create(registry, STAFF, OrganizationDraft(CHANNEL_PARTNER, "X"))
    assert create(registry, STAFF, OrganizationDraft(CUSTOMER, "Y", partner.name), "other").channel_partner


@pytest.mark.parametrize("draft", [OrganizationDraft(None, "X"), OrganizationDraft(CUSTOMER, "X", AGGREGATOR)])
def test_what_a_channel_partner_onboards_is_its_customer(draft: OrganizationDraft) -> None:
    made = create(world(), PARTNER, draft)
    assert (made.kind, made.channel_partner) == (CUSTOMER, AGGREGATOR)


def test_a_channel_partner_onboards_no_channel_partner() -> None:
    with refused(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING):
        create(world(), PARTNER, OrganizationDraft(CHANNEL_PARTNER, "X"))


def test_a_caller_that_acts_for_nobody_onboards_nobody() -> None:
    with refused(Kind.NOT_FOUND):
        create(world(), HOMELESS, OrganizationDraft(CUSTOMER, "X"))


@pytest.mark.parametrize("state", [OrganizationState.SUSPENDED, OrganizationState.CLOSED])
def test_a_channel_partner_that_is_not_active_onboards_nobody(state: OrganizationState) -> None:
    registry = world()
    registry.put(organization(AGGREGATOR, kind=CHANNEL_PARTNER, state=state))
    for principal in (STAFF, PARTNER):
        with refused(Kind.FAILED_PRECONDITION):
            create(registry, principal, OrganizationDraft(CUSTOMER, "X", AGGREGATOR))


@pytest.mark.parametrize("principal", [STAFF, PARTNER])
@pytest.mark.parametrize("partner", [BANK, "organizations/nobody"])
def test_only_a_channel_partner_is_one(principal: Principal, partner: str) -> None:
    with refused(Kind.INVALID_ARGUMENT, None, "organization.channelPartner"):
        create(world(), principal, OrganizationDraft(CUSTOMER, "X", partner))


def test_another_channel_partner_looks_as_if_it_were_not_there() -> None:
    with refused(Kind.INVALID_ARGUMENT, None, "organization.channelPartner"):
        create(world(), PARTNER, OrganizationDraft(CUSTOMER, "X", RIVAL))


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with refused(Kind.INVALID_ARGUMENT, None, "organization.displayName", "organization.kind"):
        create(world(), STAFF, OrganizationDraft())
    with refused(Kind.INVALID_ARGUMENT, None, "organization.displayName", "organization.channelPartner"):
        create(world(), STAFF, OrganizationDraft(CHANNEL_PARTNER, "", AGGREGATOR))


def test_a_display_name_is_changed() -> None:
    registry = world()
    assert update(registry, STAFF, BANK, OrganizationDraft(display_name="Other"), "1").display_name == "Other"
    assert update(registry, STAFF, BANK, OrganizationDraft(CUSTOMER, "Another")).revision == 3


@pytest.mark.parametrize(
    ("name", "draft", "field"),
    [
        (BANK, OrganizationDraft(CHANNEL_PARTNER, "X"), "organization.kind"),
        (BANK, OrganizationDraft(CUSTOMER, "X", AGGREGATOR), "organization.channelPartner"),
        (SHOP, OrganizationDraft(CUSTOMER, "X", RIVAL), "organization.channelPartner"),
        (BANK, OrganizationDraft(CUSTOMER, " X"), "organization.displayName"),
    ],
)
def test_what_cannot_be_changed_to(name: str, draft: OrganizationDraft, field: str) -> None:
    with refused(Kind.INVALID_ARGUMENT, None, field):
        update(world(), STAFF, name, draft)


def test_of_two_who_read_the_same_one_changes_it() -> None:
    registry = world()
    update(registry, STAFF, BANK, OrganizationDraft(display_name="One"), "1")
    with refused(Kind.ABORTED, Reason.STALE_ETAG, "etag"):
        update(registry, STAFF, BANK, OrganizationDraft(display_name="Two"), "1")


@pytest.mark.parametrize("etag", ["0", "01", "2", "x"])
def test_an_etag_that_was_never_given_is_stale(etag: str) -> None:
    with refused(Kind.ABORTED, Reason.STALE_ETAG):
        update(world(), STAFF, BANK, OrganizationDraft(display_name="One"), etag)


def test_what_is_closed_stays_as_it_was() -> None:
    registry = world()
    registry.put(organization(BANK, state=OrganizationState.CLOSED))
    with refused(Kind.FAILED_PRECONDITION):
        update(registry, STAFF, BANK, OrganizationDraft(display_name="X"))


def test_a_channel_partner_suspends_and_closes_its_customers_only() -> None:
    registry = world()
    assert go(registry, PARTNER, SHOP, SUSPEND_ORGANIZATION).state is OrganizationState.SUSPENDED
    assert go(registry, PARTNER, SHOP, CLOSE_ORGANIZATION).state is OrganizationState.CLOSED
    with refused(Kind.NOT_FOUND, Reason.OUT_OF_REACH):
        go(registry, PARTNER, RIVAL_SHOP, SUSPEND_ORGANIZATION)


@pytest.mark.parametrize("step", [SUSPEND_ORGANIZATION, REINSTATE_ORGANIZATION, CLOSE_ORGANIZATION])
def test_a_channel_partner_does_not_decide_on_itself(step: Step) -> None:
    with refused(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING):
        go(world(), PARTNER, AGGREGATOR, step)


def test_an_organization_is_not_closed_as_long_as_something_of_it_could_be_served() -> None:
    registry = world()
    subscription = Subscription(name=f"{BANK}/subscriptions/s", product=PRODUCT, plan="basic")
    application = RegisteredApplication(name=f"{BANK}/applications/a", display_name="A", client_id="a")
    registry.put(subscription, application)
    with refused(Kind.FAILED_PRECONDITION, Reason.NOT_EMPTY, subscription.name, application.name):
        go(registry, STAFF, BANK, CLOSE_ORGANIZATION)
    registry.put(
        Subscription(name=subscription.name, product=PRODUCT, plan="basic", state=SubscriptionState.ENDED),
        RegisteredApplication(name=application.name, display_name="A", client_id="a", state=ApplicationState.RETIRED),
    )
    assert go(registry, STAFF, BANK, CLOSE_ORGANIZATION).state is OrganizationState.CLOSED


def test_a_channel_partner_is_not_closed_before_its_customers() -> None:
    registry = world()
    with refused(Kind.FAILED_PRECONDITION, Reason.NOT_EMPTY, SHOP):
        go(registry, STAFF, AGGREGATOR, CLOSE_ORGANIZATION)
    go(registry, STAFF, SHOP, CLOSE_ORGANIZATION)
    assert go(registry, STAFF, AGGREGATOR, CLOSE_ORGANIZATION).state is OrganizationState.CLOSED


def test_no_more_than_ten_things_in_the_way_are_named() -> None:
    registry = world()
    names = [f"{BANK}/applications/a{number}" for number in range(10, 22)]
    registry.put(*(RegisteredApplication(name=name, display_name="A", client_id=name) for name in names))
    with refused(Kind.FAILED_PRECONDITION, Reason.NOT_EMPTY, *names[:10]):
        go(registry, STAFF, BANK, CLOSE_ORGANIZATION)
