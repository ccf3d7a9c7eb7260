"""What every registry must do. A test module of each engine subclasses the suite and says where it is kept."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest

from conformance.databases import Databases, open_registry
from conformance.entities import (
    application,
    customer,
    one_of_each,
    partner,
    person,
    product,
    subscription,
)
from conformance.processes import answer, started, together
from number_verification.domain.clock import HOUR
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.entity import Entity, State
from number_verification.domain.onboarding.organization import Organization, OrganizationState
from number_verification.domain.onboarding.person import Person
from number_verification.domain.onboarding.product import Product
from number_verification.domain.onboarding.subscription import Subscription
from number_verification.registry.store import AlreadyExists, Answer, Reading, Registry, StaleRevision

T = 1_800_000_000_000
ROUNDS = 25


def add(registry: Registry, *entities: Entity) -> None:
    """Add entities, in one transaction."""
    with registry.writing() as writing:
        for entity in entities:
            writing.add(entity, T)


def names(entities: Iterator[Entity] | list[Entity]) -> list[str]:
    return [entity.name for entity in entities]


def paged(reading: Reading, kind: type[Entity], **which: str | State) -> list[str]:
    return names(list(reading.page(kind, limit=1_000, **which)))  # type: ignore[arg-type]


class RegistrySuite:
    @pytest.fixture
    def url(self, databases: Databases) -> str:
        return databases()

    @pytest.fixture
    def registry(self, url: str) -> Iterator[Registry]:
        opened = open_registry(url)
        yield opened
        opened.close()

    # What is written is what is read.

    @pytest.mark.parametrize("entity", one_of_each(), ids=lambda entity: type(entity).__name__)
    def test_what_is_added_is_found(self, registry: Registry, entity: Entity) -> None:
        # What it refers to is there already.
        before = one_of_each()
        add(registry, *before[: before.index(entity)])
        with registry.writing() as writing:
            stored = writing.add(entity, T)
            assert writing.find(type(entity), entity.name) == stored
        assert stored == replace(entity, revision=1, created=T, updated=T)
        with registry.reading() as reading:
            assert reading.find(type(entity), entity.name) == stored
            assert stored in reading.page(type(entity), limit=10)
        assert stored in registry.changes(0).entities

    def test_what_is_not_there_is_not_found(self, registry: Registry) -> None:
        add(registry, customer())
        with registry.reading() as reading:
            assert reading.find(Organization, "organizations/ban") is None
            assert reading.find(Organization, "organizations/BANK") is None
            assert reading.find(Product, "organizations/bank") is None

    def test_a_replaced_one_is_as_it_was_put(self, registry: Registry) -> None:
        add(registry, *one_of_each())
        for entity in one_of_each():
            with registry.writing() as writing:
                stored = writing.find(type(entity), entity.name)
                assert stored is not None
                again = writing.replace(stored, T + 5)
                assert writing.find(type(entity), entity.name) == again
            assert again == replace(stored, revision=2, created=T, updated=T + 5)

    # Order and pages.

    def test_names_are_in_the_order_of_their_bytes(self, registry: Registry) -> None:
        ids = [
            "B",
            "Z",
            "a",
            "a-",
            "a-b",
            "a.b",
            "a0",
            "a00",
            "a10",
            "a2",
            "aB",
            "a_b",
            "ab",
            "ab-",
            "b",
            "ä",
            "z",
            "0",
        ]
        expected = sorted((f"organizations/{id_}" for id_ in ids), key=str.encode)
        add(registry, *(customer(name) for name in reversed(expected)))
        with registry.reading() as reading:
            assert paged(reading, Organization) == expected
            for position, name in enumerate(expected):
                assert paged(reading, Organization, after=name) == expected[position + 1 :]

    def test_pages_follow_each_other(self, registry: Registry) -> None:
        expected = [f"products/{number:02}" for number in range(11)]
        add(registry, *map(product, expected))
        seen: list[str] = []
        with registry.reading() as reading:
            while page := names(list(reading.page(Product, after=seen[-1] if seen else "", limit=3))):
                assert len(page) <= 3
                seen += page
        assert seen == expected

    @pytest.fixture
    def peopled(self, registry: Registry) -> Registry:
        """Two channel partners with a customer each, and one that came directly, with an application each."""
        add(registry, product(), partner("organizations/p1"), partner("organizations/p2"))
        for customer_name, through in (("c1", "organizations/p1"), ("c2", "organizations/p2"), ("c3", "")):
            name = f"organizations/{customer_name}"
            add(
                registry,
                customer(name, channel_partner=through),
                application(f"{name}/applications/x", client_id=f"app-{customer_name}"),
                person(f"{name}/people/x", client_id=f"person-{customer_name}"),
                subscription(f"{name}/subscriptions/x"),
            )
        add(registry, person("organizations/p1/people/x", client_id="person-p1"))
        return registry

    def test_a_parent_has_only_its_own(self, peopled: Registry) -> None:
        with peopled.reading() as reading:
            for kind, collection in (
                (RegisteredApplication, "applications"),
                (Person, "people"),
                (Subscription, "subscriptions"),
            ):
                assert paged(reading, kind, parent="organizations/c1") == [f"organizations/c1/{collection}/x"]
            assert paged(reading, Person, parent="organizations/c") == []

    def test_within_reach_is_an_organization_and_who_comes_through_it(self, peopled: Registry) -> None:
        with peopled.reading() as reading:
            assert paged(reading, Organization, reach="organizations/p1") == ["organizations/c1", "organizations/p1"]
            assert paged(reading, Organization, reach="organizations/c3") == ["organizations/c3"]
            assert paged(reading, Person, reach="organizations/p1") == [
                "organizations/c1/people/x",
                "organizations/p1/people/x",
            ]
            assert paged(reading, Subscription, reach="organizations/p2") == ["organizations/c2/subscriptions/x"]
            assert paged(reading, Product, reach="organizations/p2") == ["products/nv"]
            assert paged(reading, RegisteredApplication, reach="organizations/p2", parent="organizations/c1") == []
            assert paged(reading, Organization, reach="organizations/nobody") == []

    def test_only_those_in_a_state(self, peopled: Registry) -> None:
        with peopled.writing() as writing:
            found = writing.find(Organization, "organizations/c2")
            assert found is not None
            writing.replace(replace(found, state=OrganizationState.SUSPENDED), T)
        with peopled.reading() as reading:
            assert paged(reading, Organization, state=OrganizationState.SUSPENDED) == ["organizations/c2"]
            assert "organizations/c2" not in paged(reading, Organization, state=OrganizationState.ACTIVE)

    # Transactions.

    def test_all_or_nothing(self, registry: Registry) -> None:
        add(registry, partner())

        def work() -> None:
            with registry.writing() as writing:
                writing.add(customer(), T)
                writing.add(person(), T)
                writing.keep_answer("me", "1", Answer(b"d", b"c"), T)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        assert registry.change() == 1
        with registry.writing() as writing:
            assert writing.find(Organization, customer().name) is None
            assert writing.answer_to("me", "1") is None
            # Nor is the client id taken.
            writing.add(customer(), T)
            writing.add(person(), T)

    def test_a_view_does_not_change(self, registry: Registry) -> None:
        add(registry, customer())
        with registry.reading() as reading:
            assert paged(reading, Organization) == ["organizations/bank"]
            add(registry, partner())
            assert paged(reading, Organization) == ["organizations/bank"]
            assert reading.find(Organization, "organizations/hub") is None
        with registry.reading() as reading:
            assert len(paged(reading, Organization)) == 2

    def test_a_view_after_a_fault_is_a_new_one(self, registry: Registry) -> None:
        def look(expected: int) -> None:
            with registry.reading() as reading:
                assert len(paged(reading, Organization)) == expected
                raise ZeroDivisionError

        for number in range(20):
            with pytest.raises(ZeroDivisionError):
                look(number)
            add(registry, customer(f"organizations/{number:02}"))

    # What is refused.

    def test_a_name_is_given_once(self, registry: Registry) -> None:
        add(registry, *one_of_each())
        for entity in one_of_each():
            other: Any = {"client_id": "another"} if isinstance(entity, Person | RegisteredApplication) else {}
            with registry.writing() as writing, pytest.raises(AlreadyExists):
                writing.add(replace(entity, **other), T)

    def test_people_and_applications_share_their_client_ids(self, registry: Registry) -> None:
        add(registry, partner(), customer(), person(client_id="p"), application(client_id="a"))
        with registry.writing() as writing:
            for taken in (
                person("organizations/bank/people/b", client_id="a"),
                person("organizations/hub/people/b", client_id="p"),
                application("organizations/bank/applications/b", client_id="p"),
                application("organizations/hub/applications/b", client_id="a"),
            ):
                with pytest.raises(AlreadyExists):
                    writing.add(taken, T)
            # The transaction is as good as before, and other cases are other ids.
            writing.add(application("organizations/bank/applications/b", client_id="A"), T)
        with registry.reading() as reading:
            assert len(paged(reading, RegisteredApplication)) == 2

    def test_a_client_id_stays_free_where_the_name_was_taken(self, registry: Registry) -> None:
        add(registry, customer(), person(client_id="one"))
        with registry.writing() as writing:
            with pytest.raises(AlreadyExists):
                writing.add(person(client_id="two"), T)
            writing.add(application(client_id="two"), T)
        assert len(registry.changes(0).entities) == 3

    def test_a_stale_revision(self, registry: Registry) -> None:
        add(registry, customer())
        with registry.writing() as writing:
            first = writing.find(Organization, customer().name)
            assert first is not None
            second = writing.replace(replace(first, display_name="second"), T)
            with pytest.raises(StaleRevision):
                writing.replace(replace(first, display_name="third"), T)
            with pytest.raises(StaleRevision):
                writing.replace(replace(second, revision=3), T)
            with pytest.raises(StaleRevision):
                writing.replace(partner(revision=1), T)
        with registry.reading() as reading:
            assert reading.find(Organization, customer().name) == second

    def test_a_client_id_is_for_ever(self, registry: Registry) -> None:
        add(registry, customer(), person(client_id="p"), application(client_id="a"))
        for entity in (person(client_id="a", revision=1), application(client_id="p", revision=1)):
            with registry.writing() as writing, pytest.raises(StaleRevision):
                writing.replace(entity, T)
        assert {found.revision for found in registry.changes(0).entities} == {1}

    @pytest.mark.parametrize(
        "orphan",
        [
            customer(channel_partner="organizations/secret"),
            person("organizations/secret/people/secret", client_id="secret"),
            application("organizations/secret/applications/secret", client_id="secret"),
            subscription("organizations/secret/subscriptions/secret"),
        ],
        ids=lambda orphan: type(orphan).__name__,
    )
    def test_nothing_belongs_to_nobody(self, registry: Registry, orphan: Entity) -> None:
        with pytest.raises(StoreUnavailable) as refused, registry.writing() as writing:
            writing.add(orphan, T)
        assert "secret" not in str(refused.value)
        assert "INSERT" not in str(refused.value)
        assert registry.changes(0) == (0, [])
        registry.probe()

    # The change counter.

    def test_changes_are_exact(self, registry: Registry) -> None:
        assert registry.changes(0) == (0, [])
        add(registry, customer(), partner())
        add(registry, product())
        with registry.writing() as writing:
            found = writing.find(Organization, customer().name)
            assert found is not None
            changed = writing.replace(replace(found, display_name="1"), T)
            changed = writing.replace(replace(changed, display_name="2"), T)
        assert registry.change() == 3
        assert changed.revision == 3
        assert registry.changes(2) == (3, [changed])
        assert sorted(names(list(registry.changes(1).entities))) == ["organizations/bank", "products/nv"]
        assert len(registry.changes(0).entities) == 3
        assert registry.changes(3) == (3, [])

    def test_only_writes_count(self, registry: Registry) -> None:
        add(registry, customer())
        registry.probe()
        with registry.writing() as writing:
            writing.find(Organization, customer().name)
            writing.keep_answer("me", "1", Answer(b"", b""), T)
            with pytest.raises(AlreadyExists):
                writing.add(customer(), T)
            with pytest.raises(StaleRevision):
                writing.replace(customer(revision=7), T)
        with registry.reading() as reading:
            reading.find(Organization, customer().name)
        assert registry.change() == 1

    # Answers.

    def test_answers_are_kept_by_caller_and_request(self, registry: Registry) -> None:
        kept = Answer(b"\x00\xff" * 16, b"\x00" * 70_000)
        with registry.writing() as writing:
            writing.keep_answer("me", "1", kept, T)
        with registry.writing() as writing:
            assert writing.answer_to("me", "1") == kept
            assert writing.answer_to("you", "1") is None
            assert writing.answer_to("me", "2") is None
            assert writing.answer_to("ME", "1") is None

    def test_answers_are_forgotten_after_a_day_at_the_earliest(self, registry: Registry) -> None:
        with registry.writing() as writing:
            writing.keep_answer("me", "1", Answer(b"d", b"c"), T)
            writing.keep_answer("me", "2", Answer(b"d", b"c"), T + 24 * HOUR)
            assert writing.answer_to("me", "1") is not None
            writing.keep_answer("me", "3", Answer(b"d", b"c"), T + 50 * HOUR)
            assert writing.answer_to("me", "1") is None
            assert writing.answer_to("me", "2") is not None

    # Together.

    def test_of_two_writers_on_one_revision_one_wins(self, registry: Registry, url: str) -> None:
        add(registry, *(customer(f"organizations/{number:02}") for number in range(ROUNDS)))
        won = together(_replace_all, [(url, "a"), (url, "b")])
        with registry.reading() as reading:
            for number, by in enumerate(zip(*won, strict=True)):
                assert sorted(by) == [False, True]
                stored = reading.find(Organization, f"organizations/{number:02}")
                assert stored is not None
                assert (stored.display_name, stored.revision) == ("ab"[by.index(True)], 2)

    def test_of_two_who_add_the_same_one_wins(self, registry: Registry, url: str) -> None:
        add(registry, customer())
        won = together(_add_all, [(url, "a"), (url, "b")])
        assert all(sorted(by) == [False, True] for by in zip(*won, strict=True))
        assert len(registry.changes(0).entities) == 1 + ROUNDS

    def test_whoever_follows_the_changes_misses_none(self, registry: Registry, url: str) -> None:
        """Each transaction writes a pair: half of one must never be seen, and in the end all are there."""
        done = threading.Event()
        followed: list[dict[str, Entity]] = []

        def follow() -> None:
            copy: dict[str, Entity] = {}
            change, last = 0, False
            while True:
                # Whether anybody writes is asked before the changes are.
                last = done.is_set()
                found = registry.changes(change)
                assert found.change >= change
                seen = names(list(found.entities))
                assert all(_twin(name) in seen for name in seen)
                copy.update((entity.name, entity) for entity in found.entities)
                change = found.change
                # Everything up to this change, and nothing after it.
                assert len(copy) == 2 * change
                if last:
                    followed.append(copy)
                    return

        followers = [threading.Thread(target=follow) for _ in range(2)]
        for follower in followers:
            follower.start()
        together(_add_pairs, [(url, "a"), (url, "b")])
        done.set()
        for follower in followers:
            follower.join()
        assert [len(copy) for copy in followed] == [4 * ROUNDS, 4 * ROUNDS]

    def test_a_writer_that_is_killed_leaves_nothing(self, registry: Registry, url: str) -> None:
        add(registry, partner())
        with started(_write_and_wait, url) as (process, pipe):
            assert answer(pipe) == 2
            process.kill()
            process.join()
        assert registry.changes(1) == (1, [])
        add(registry, customer(), person())
        assert registry.change() == 2


def _each(url: str, barrier: Barrier, work: Callable[[Registry, int], None]) -> list[bool]:
    registry = open_registry(url)
    done = []
    for number in range(ROUNDS):
        barrier.wait(30)
        try:
            work(registry, number)
            done.append(True)
        except (AlreadyExists, StaleRevision):
            done.append(False)
    registry.close()
    return done


def _replace_all(argument: tuple[str, str], barrier: Barrier) -> list[bool]:
    url, mark = argument

    def work(registry: Registry, number: int) -> None:
        with registry.reading() as reading:
            found = reading.find(Organization, f"organizations/{number:02}")
        assert found is not None
        with registry.writing() as writing:
            writing.replace(replace(found, revision=1, display_name=mark), T)

    return _each(url, barrier, work)


def _add_all(argument: tuple[str, str], barrier: Barrier) -> list[bool]:
    url, mark = argument
    return _each(
        url,
        barrier,
        lambda registry, number: add(
            registry, application(f"organizations/bank/applications/{mark}{number}", client_id=str(number))
        ),
    )


def _add_pairs(argument: tuple[str, str], barrier: Barrier) -> list[bool]:
    url, mark = argument
    return _each(
        url,
        barrier,
        lambda registry, number: add(
            registry, product(f"products/{mark}{number}-a"), product(f"products/{mark}{number}-b")
        ),
    )


def _twin(name: str) -> str:
    return name[:-1] + ("b" if name.endswith("a") else "a")


def _write_and_wait(url: str, pipe: Connection) -> None:
    with open_registry(url).writing() as writing:
        writing.add(customer(), T)
        writing.add(person(), T)
        pipe.send(len(writing.page(Organization, limit=10)))
        threading.Event().wait()
