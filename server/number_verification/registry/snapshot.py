"""A copy of the registry in this process, kept fresh by its change counter: what the hot path reads.

Changes are taken over as a whole: what they make is built aside and then put in the place of what was there, so that
nobody ever sees half of them. How fresh the copy is counts from the instant at which the poll that confirmed it
*began*: whatever was committed before it is in the copy, and what comes later may not be.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from number_verification import log
from number_verification.domain.application import Application
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import Organization
from number_verification.domain.onboarding.person import Person
from number_verification.domain.onboarding.principal import PrincipalClient
from number_verification.domain.onboarding.product import Product
from number_verification.domain.onboarding.standing import standing_of_application, standing_of_person
from number_verification.domain.onboarding.subscription import Subscription
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.registry.store import Changes, Registry


class _Copy(NamedTuple):
    """The registry at one point of its life. Never changed, but for what is derived from it."""

    change: int
    organizations: dict[str, Organization]
    products: dict[str, Product]
    subscriptions: dict[str, dict[str, Subscription]]
    """By organization and by name."""
    applications: dict[str, RegisteredApplication]
    people: dict[str, Person]
    """Both by client id."""
    certificates: dict[str, frozenset[str]]
    """The client ids of the people whose certificate has a name."""
    standings: dict[str, Application]
    """What was derived so far, by client id."""


_EMPTY = _Copy(0, {}, {}, {}, {}, {}, {}, {})


class Snapshot:
    """Looks up applications and people without asking the registry. Safe for threads.

    Args:
        registry: what is copied.
        poll_seconds: how often its change counter is read.
        stale_after: seconds for which the copy may be relied on when the registry does not answer any more.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        poll_seconds: float = 0.2,
        stale_after: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._poll_seconds = poll_seconds
        self._stale_after = stale_after
        self._clock = clock
        self._copy = _EMPTY
        self._good_until = -math.inf
        self._failing = False
        self._refreshing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="registry-snapshot", daemon=True)

    def start(self) -> None:
        """Load the copy if the registry can be read, and keep it fresh from now on."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """Ask the registry nothing any more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def refresh(self) -> None:
        """Bring the copy up to date now. That the registry does not answer is written down, and shows in time."""
        with self._refreshing:
            began = self._clock()
            try:
                self._take_over()
            except StoreUnavailable as unavailable:
                if not self._failing:
                    log.event("registry_unavailable", level="error", why=str(unavailable))
                self._failing = True
                return
            # After the copy: whoever reads the two in the other order never takes an older copy for a fresh one.
            self._good_until = began + self._stale_after
            if self._failing:
                log.event("registry_available")
            self._failing = False

    def find(self, client_id: str) -> Application | None:
        """The application with this client id, also one that may not be served; None if there is none.

        Raises:
            Refusal: UNAVAILABLE, STALE_REGISTRY.
        """
        if self._clock() > self._good_until:
            raise self._stale()
        copy = self._copy
        found = copy.standings.get(client_id)
        return found if found is not None else _derived(copy, client_id)

    def principal(self, client_id: str) -> PrincipalClient | None:
        """The person with this client id, also one that may do nothing now; None if there is none.

        Raises:
            Refusal: UNAVAILABLE, STALE_REGISTRY.
        """
        copy = self._fresh()
        person = copy.people.get(client_id)
        return _standing(copy, person) if person else None

    def principal_with_certificate(self, names: frozenset[str]) -> PrincipalClient | None:
        """The one person that a client certificate with these names identifies; None for none or several.

        Raises:
            Refusal: UNAVAILABLE, STALE_REGISTRY.
        """
        copy = self._fresh()
        client_ids = frozenset().union(*(copy.certificates.get(name, frozenset()) for name in names))
        found = [standing for each in client_ids if (standing := _standing(copy, copy.people[each]))]
        return found[0] if len(found) == 1 else None

    def _fresh(self) -> _Copy:
        if self._clock() > self._good_until:
            raise self._stale()
        return self._copy

    def _stale(self) -> Refusal:
        return Refusal(Kind.UNAVAILABLE, Reason.STALE_REGISTRY, retry_after=max(1, math.ceil(self._poll_seconds)))

    def _poll(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            try:
                self.refresh()
            except Exception as fault:  # noqa: BLE001 - the thread must live on; the copy gets stale, which shows
                log.fault("registry_snapshot_fault", fault)

    def _take_over(self) -> None:
        change = self._registry.change()
        if change == self._copy.change:
            return
        if change < self._copy.change:
            # Another registry in the place of the former one, as after a restore: what is not in it must not stay.
            self._copy = _changed(_EMPTY, self._registry.changes(0))
        else:
            self._copy = _changed(self._copy, self._registry.changes(self._copy.change))


def _derived(copy: _Copy, client_id: str) -> Application | None:
    registered = copy.applications.get(client_id)
    if registered is None:
        return None
    customer, channel_partner = _organizations(copy, registered.parent)
    subscriptions = copy.subscriptions.get(registered.parent, {}).values()
    found = standing_of_application(registered, customer, channel_partner, subscriptions, copy.products)
    copy.standings[client_id] = found
    return found


def _standing(copy: _Copy, person: Person) -> PrincipalClient | None:
    return standing_of_person(person, *_organizations(copy, person.parent))


def _organizations(copy: _Copy, name: str) -> tuple[Organization | None, Organization | None]:
    organization = copy.organizations.get(name)
    return organization, copy.organizations.get(organization.channel_partner) if organization else None


def _changed(former: _Copy, changes: Changes) -> _Copy:
    copy = _Copy(
        changes.change,
        dict(former.organizations),
        dict(former.products),
        dict(former.subscriptions),
        dict(former.applications),
        dict(former.people),
        dict(former.certificates),
        {},
    )
    _put(copy, changes.entities)
    return copy


def _put(copy: _Copy, entities: Iterable[Entity]) -> None:
    own: set[str] = set()
    for entity in entities:
        match entity:
            case Organization():
                copy.organizations[entity.name] = entity
            case Product():
                copy.products[entity.name] = entity
            case RegisteredApplication():
                copy.applications[entity.client_id] = entity
            case Subscription():
                if entity.parent not in own:
                    # The inner dict is shared with the former copy, which must stay as it is.
                    own.add(entity.parent)
                    copy.subscriptions[entity.parent] = dict(copy.subscriptions.get(entity.parent, {}))
                copy.subscriptions[entity.parent][entity.name] = entity
            case Person():
                _put_person(copy, entity)


def _put_person(copy: _Copy, person: Person) -> None:
    former = copy.people.get(person.client_id)
    for name in former.certificate_names if former else ():
        copy.certificates[name] -= {person.client_id}
        if not copy.certificates[name]:
            del copy.certificates[name]
    for name in person.certificate_names:
        copy.certificates[name] = copy.certificates.get(name, frozenset()) | {person.client_id}
    copy.people[person.client_id] = person
