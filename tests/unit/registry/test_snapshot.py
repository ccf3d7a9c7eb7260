"""The snapshot: whole changes only, fresh or refusing, and back as soon as the registry is."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from number_verification.domain.application import LegalBasis
from number_verification.domain.onboarding.application import ApplicationState
from number_verification.domain.onboarding.organization import OrganizationState
from number_verification.domain.onboarding.person import PersonState
from number_verification.domain.onboarding.subscription import SubscriptionState
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.registry.snapshot import Snapshot
from number_verification.registry.store import Changes
from unit.registry.entities import (
    BANK,
    FRAUD,
    SERVICE,
    MemoryRegistry,
    application,
    everything,
    organization,
    person,
    product,
    subscription,
)


class Seconds:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def stale(ask: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as refused:
        ask()
    assert (refused.value.kind, refused.value.reason) == (Kind.UNAVAILABLE, Reason.STALE_REGISTRY)
    return refused.value


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry(*everything())


@pytest.fixture
def snapshot(registry: MemoryRegistry) -> Snapshot:
    loaded = Snapshot(registry)
    loaded.refresh()
    return loaded


def objection(snapshot: Snapshot) -> Reason | None:
    found = snapshot.find("bank-app")
    assert found is not None
    return found.objection


def test_what_is_found(snapshot: Snapshot) -> None:
    found = snapshot.find("bank-app")
    assert found is not None
    assert (found.customer, found.objection) == (BANK, None)
    assert snapshot.find("bank-app") is found
    assert snapshot.find("nobody") is None
    assert snapshot.find("ada") is None
    ada = snapshot.principal("ada")
    assert ada is not None
    assert ada.principal.organization == BANK
    assert snapshot.principal("bank-app") is None


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        (application(state=ApplicationState.SUSPENDED), Reason.APPLICATION_SUSPENDED),
        (organization(state=OrganizationState.SUSPENDED), Reason.CUSTOMER_SUSPENDED),
        (organization(channel_partner="organizations/aggregator"), Reason.CHANNEL_PARTNER_SUSPENDED),
        (subscription(state=SubscriptionState.ENDED), Reason.NOT_SUBSCRIBED),
        (product(plans=()), Reason.NOT_SUBSCRIBED),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else type(value).__name__,
)
def test_a_change_of_anything_counts(registry: MemoryRegistry, snapshot: Snapshot, entity: Any, reason: Reason) -> None:
    """Also after the application was looked up: what was derived of it is derived anew."""
    assert objection(snapshot) is None
    registry.write(entity)
    snapshot.refresh()
    assert objection(snapshot) is reason
    registry.write(*everything())
    snapshot.refresh()
    assert objection(snapshot) is None


def test_only_what_changed_is_fetched(registry: MemoryRegistry, snapshot: Snapshot) -> None:
    asked: list[int] = []
    changes = registry.changes

    def noting(since: int) -> Changes:
        asked.append(since)
        return changes(since)

    registry.changes = noting  # type: ignore[method-assign]
    snapshot.refresh()
    assert asked == []
    registry.write(application(state=ApplicationState.SUSPENDED))
    snapshot.refresh()
    snapshot.refresh()
    assert asked == [1]


def test_another_registry_in_the_place_of_the_former_one(registry: MemoryRegistry, snapshot: Snapshot) -> None:
    """A backup that was restored: who was added after it is gone."""
    registry.write(application(name=f"{BANK}/applications/late", client_id="late"))
    snapshot.refresh()
    assert snapshot.find("late") is not None
    registry.written = registry.written[:-1]
    snapshot.refresh()
    assert snapshot.find("late") is None
    assert objection(snapshot) is None


def test_before_anything_was_loaded() -> None:
    registry = MemoryRegistry(*everything())
    registry.down = True
    snapshot = Snapshot(registry)
    for _ in range(2):
        for ask in (
            lambda: snapshot.find("bank-app"),
            lambda: snapshot.principal("ada"),
            lambda: snapshot.principal_with_certificate(frozenset()),
        ):
            assert stale(ask).retry_after == 1
        snapshot.refresh()
    registry.down = False
    snapshot.refresh()
    assert objection(snapshot) is None


def test_the_copy_is_good_for_as_long_as_it_was_told(registry: MemoryRegistry) -> None:
    clock = Seconds()
    snapshot = Snapshot(registry, stale_after=30, clock=clock)
    snapshot.refresh()
    registry.down = True
    clock.now += 30
    snapshot.refresh()
    assert objection(snapshot) is None
    clock.now += 0.001
    stale(lambda: snapshot.find("bank-app"))
    stale(lambda: snapshot.find("nobody"))
    registry.down = False
    snapshot.refresh()
    assert objection(snapshot) is None


def test_freshness_counts_from_the_beginning_of_a_poll(registry: MemoryRegistry) -> None:
    """Seen to fail with the end of it: what was committed while a slow poll ran would be missed for too long."""
    clock = Seconds()
    change = registry.change

    def slow() -> int:
        found = change()
        clock.now += 20
        return found

    registry.change = slow  # type: ignore[method-assign]
    snapshot = Snapshot(registry, stale_after=30, clock=clock)
    snapshot.refresh()  # the first load asks twice
    assert clock.now == 1040
    stale(lambda: snapshot.find("bank-app"))
    snapshot.refresh()
    clock.now += 10
    assert objection(snapshot) is None
    clock.now += 1
    stale(lambda: snapshot.find("bank-app"))


def test_a_change_that_cannot_be_read_changes_nothing(registry: MemoryRegistry, snapshot: Snapshot) -> None:
    def broken(_: int) -> Changes:
        registry.down = True
        registry.change()
        raise AssertionError

    changes, registry.changes = registry.changes, broken  # type: ignore[method-assign]
    registry.write(application(state=ApplicationState.SUSPENDED))
    snapshot.refresh()
    assert objection(snapshot) is None
    registry.down, registry.changes = False, changes  # type: ignore[method-assign]
    snapshot.refresh()
    assert objection(snapshot) is Reason.APPLICATION_SUSPENDED


def test_the_thread_keeps_it_fresh_and_survives_faults(registry: MemoryRegistry) -> None:
    snapshot = Snapshot(registry, poll_seconds=0.001)
    failed, change = threading.Event(), registry.change

    def fault() -> int:
        registry.change = change  # type: ignore[method-assign]
        failed.set()
        raise RuntimeError

    snapshot.start()
    try:
        registry.change = fault  # type: ignore[method-assign]
        assert failed.wait(10)
        registry.write(application(state=ApplicationState.SUSPENDED))
        seen = registry.polls + 2
        for _ in range(100_000):
            if registry.polls >= seen and objection(snapshot) is Reason.APPLICATION_SUSPENDED:
                break
            threading.Event().wait(0.001)
        assert objection(snapshot) is Reason.APPLICATION_SUSPENDED
    finally:
        snapshot.stop()
    polls = registry.polls
    threading.Event().wait(0.01)
    assert registry.polls == polls


def test_nobody_sees_half_of_a_change(registry: MemoryRegistry) -> None:
    """One transaction swaps two applications' purposes and the plan that allows only one of them.

    Seen to fail with the changes applied to the dicts that are being read.
    """
    snapshot = Snapshot(registry, poll_seconds=0.0001)
    plan = product().plans[0]
    only = {each: product(plans=(plan._replace(purposes=frozenset({each})),)) for each in (FRAUD, SERVICE)}
    apps = {purpose: application(purposes={purpose: LegalBasis.CONTRACT}) for purpose in (FRAUD, SERVICE)}
    registry.write(only[FRAUD], apps[FRAUD])
    snapshot.start()
    torn: list[object] = []
    stopping = threading.Event()

    def read() -> None:
        while not stopping.is_set():
            found = snapshot.find("bank-app")
            if found is None or len(found.legal_bases) != 1:
                torn.append(found)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in range(300):
            purpose = (FRAUD, SERVICE)[number % 2]
            polls = registry.polls
            registry.write(only[purpose], apps[purpose])
            while registry.polls == polls:
                threading.Event().wait(0.0001)
    finally:
        stopping.set()
        for reader in readers:
            reader.join()
        snapshot.stop()
    assert not torn


def test_certificates(registry: MemoryRegistry, snapshot: Snapshot) -> None:
    def found(*names: str) -> str | None:
        standing = snapshot.principal_with_certificate(frozenset(names))
        return standing.client_id if standing else None

    assert found("ada.bank.example", "other") == "ada"
    assert found("other") is None
    assert found() is None
    bob = person(name=f"{BANK}/people/bob", client_id="bob", certificate_names=frozenset({"bob", "shared"}))
    registry.write(bob, person(certificate_names=frozenset({"new", "shared"})))
    snapshot.refresh()
    assert found("ada.bank.example") is None
    assert (found("new"), found("bob"), found("shared")) == ("ada", "bob", None)
    assert found("new", "bob") is None
    registry.write(replace(bob, state=PersonState.REMOVED))
    snapshot.refresh()
    assert (found("bob"), found("shared"), found("new", "bob")) == (None, "ada", "ada")


def test_a_suspended_person_is_found_with_the_reason(registry: MemoryRegistry, snapshot: Snapshot) -> None:
    registry.write(person(state=PersonState.SUSPENDED))
    snapshot.refresh()
    ada = snapshot.principal("ada")
    assert ada is not None
    assert ada.objection is Reason.PERSON_SUSPENDED
