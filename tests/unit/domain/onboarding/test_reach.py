"""Who may touch what, and when."""

import pytest

from number_verification.domain.onboarding import reach
from number_verification.domain.onboarding.organization import Organization, OrganizationState
from number_verification.domain.onboarding.person import Person
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.refusal import Kind, Reason, Refusal
from unit.domain.onboarding.memory import MemoryRegistry
from unit.domain.onboarding.world import (
    ADMINISTRATOR,
    AGGREGATOR,
    BANK,
    HOMELESS,
    MANAGER,
    PARTNER,
    PARTNER_MANAGER,
    PARTNER_USER,
    RIVAL,
    RIVAL_SHOP,
    SHOP,
    STAFF,
    USER,
    organization,
    refused,
    world,
)

ALL = (AGGREGATOR, BANK, RIVAL, RIVAL_SHOP, SHOP)
REACH = {
    STAFF: ALL,
    PARTNER: (AGGREGATOR, SHOP),
    PARTNER_MANAGER: (AGGREGATOR, SHOP),
    PARTNER_USER: (AGGREGATOR,),
    ADMINISTRATOR: (BANK,),
    MANAGER: (BANK,),
    USER: (BANK,),
    HOMELESS: (),
}


@pytest.mark.parametrize("principal", REACH)
@pytest.mark.parametrize("name", ALL)
def test_who_reaches_whom(principal: Principal, name: str) -> None:
    with world().reading() as reading:
        if name in REACH[principal]:
            assert reach.organization(reading, principal, name).name == name
        else:
            with refused(Kind.NOT_FOUND, Reason.OUT_OF_REACH):
                reach.organization(reading, principal, name)


def test_what_is_out_of_reach_looks_as_if_it_were_not_there() -> None:
    with world().reading() as reading:
        refusals = []
        for name in (RIVAL, "organizations/nobody"):
            with pytest.raises(Refusal) as caught:
                reach.organization(reading, PARTNER, name)
            refusals.append(caught.value)
    out_of_reach, missing = refusals
    assert (out_of_reach.kind, out_of_reach.violations) == (missing.kind, missing.violations)
    assert (out_of_reach.reason, missing.reason) == (Reason.OUT_OF_REACH, Reason.NO_SUCH_ENTITY)


def somebody(of: str) -> Person:
    return Person(name=f"{of}/people/somebody", display_name="X", roles=frozenset(), client_id=f"{of}-x")


@pytest.mark.parametrize("principal", REACH)
def test_listings_are_of_what_is_within_reach(principal: Principal) -> None:
    registry = world()
    registry.put(*map(somebody, ALL))
    with registry.reading() as reading:
        organizations = reach.page(reading, principal, Organization, limit=10)
        people = reach.page(reading, principal, Person, limit=10)
    assert tuple(each.name for each in organizations) == REACH[principal]
    assert [each.name for each in people] == sorted(each.name for each in people)
    assert {each.parent for each in people} == set(REACH[principal])


@pytest.mark.parametrize("principal", REACH)
@pytest.mark.parametrize("name", ALL)
def test_listings_of_one_organization(principal: Principal, name: str) -> None:
    registry = world()
    registry.put(*map(somebody, ALL))
    with registry.reading() as reading:
        if name in REACH[principal]:
            assert [p.parent for p in reach.page(reading, principal, Person, parent=name, limit=10)] == [name]
        else:
            with refused(Kind.NOT_FOUND, Reason.OUT_OF_REACH):
                reach.page(reading, principal, Person, parent=name, limit=10)


@pytest.mark.parametrize("principal", [STAFF, PARTNER, USER])
def test_listings_go_on_after_a_name_and_keep_to_a_state(principal: Principal) -> None:
    names = REACH[principal]
    with world().reading() as reading:
        for index, name in enumerate(names):
            rest = reach.page(reading, principal, Organization, after=name, limit=10)
            assert tuple(each.name for each in rest) == names[index + 1 :]
        closed = reach.page(reading, principal, Organization, state=OrganizationState.CLOSED, limit=10)
    assert not closed


def changed(name: str, state: OrganizationState) -> MemoryRegistry:
    registry = world()
    with registry.reading() as reading:
        stored = reading.find(Organization, name)
    assert stored is not None
    registry.put(
        organization(name, kind=stored.kind, channel_partner=stored.channel_partner, state=state),
    )
    return registry


@pytest.mark.parametrize(
    ("principal", "name", "concerned", "state", "reason"),
    [
        (ADMINISTRATOR, BANK, BANK, OrganizationState.SUSPENDED, Reason.CUSTOMER_SUSPENDED),
        (ADMINISTRATOR, BANK, BANK, OrganizationState.CLOSED, Reason.CUSTOMER_CLOSED),
        (STAFF, BANK, BANK, OrganizationState.CLOSED, Reason.CUSTOMER_CLOSED),
        (STAFF, BANK, BANK, OrganizationState.SUSPENDED, None),
        (PARTNER, SHOP, SHOP, OrganizationState.SUSPENDED, Reason.CUSTOMER_SUSPENDED),
        (PARTNER, SHOP, AGGREGATOR, OrganizationState.SUSPENDED, Reason.CHANNEL_PARTNER_SUSPENDED),
        (STAFF, SHOP, AGGREGATOR, OrganizationState.SUSPENDED, None),
        (STAFF, SHOP, AGGREGATOR, OrganizationState.CLOSED, None),
        (ADMINISTRATOR, BANK, AGGREGATOR, OrganizationState.CLOSED, None),
    ],
)
def test_where_something_may_be_made(
    principal: Principal, name: str, concerned: str, state: OrganizationState, reason: Reason | None
) -> None:
    with changed(concerned, state).reading() as reading:
        owner = reach.organization(reading, principal, name)
        if reason is None:
            reach.require_open(reading, principal, owner)
        else:
            with refused(Kind.FAILED_PRECONDITION, reason, concerned):
                reach.require_open(reading, principal, owner)


def test_every_goes_through_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_BATCH", 2)
    with world().reading() as reading:
        assert tuple(each.name for each in reach.every(reading, Organization)) == ALL
