"""Which organizations a caller may touch, and when: the one place that knows.

The contract's access rules say which roles may call a method. Where they may is said here: the operator's staff
everywhere; a channel partner's person in its own organization and in those of its customers; everybody else in their
own. What is out of reach is refused as if it were not there; only the operator's reason tells the difference.

A channel partner's role counts for its customers. In its own organization a person is what it is to that organization
(`own_roles`): otherwise a business manager there could make themselves an administrator.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from number_verification.domain.onboarding.entity import Entity, State
from number_verification.domain.onboarding.organization import Organization, OrganizationState
from number_verification.domain.onboarding.person import PersonRole
from number_verification.domain.onboarding.principal import CHANNEL_PARTNER, Principal
from number_verification.domain.onboarding.refusals import blocked, denied, not_found
from number_verification.domain.refusal import Reason, Violation
from number_verification.registry.store import Reading

E = TypeVar("E", bound=Entity)

_BATCH = 500


def reaches(principal: Principal, organization: Organization) -> bool:
    """Whether a caller may touch an organization."""
    if principal.is_staff:
        return True
    if not principal.organization:
        return False
    if organization.name == principal.organization:
        return True
    return CHANNEL_PARTNER in principal.roles and organization.channel_partner == principal.organization


def organization(reading: Reading, principal: Principal, name: str) -> Organization:
    """The organization with this name.

    Raises:
        Refusal: NOT_FOUND, also where it is out of reach.
    """
    found = reading.find(Organization, name)
    if found is None:
        raise not_found(Reason.NO_SUCH_ENTITY)
    if not reaches(principal, found):
        raise not_found(Reason.OUT_OF_REACH)
    return found


def within(reading: Reading, principal: Principal, kind: type[E], name: str) -> tuple[Organization, E]:
    """An entity that belongs to an organization, and the organization.

    Raises:
        Refusal: NOT_FOUND, also where it is out of reach.
    """
    owner = organization(reading, principal, name.rpartition("/")[0].rpartition("/")[0])
    found = reading.find(kind, name)
    if found is None:
        raise not_found(Reason.NO_SUCH_ENTITY)
    return owner, found


def page(
    reading: Reading,
    principal: Principal,
    kind: type[E],
    *,
    parent: str = "",
    state: State | None = None,
    after: str = "",
    limit: int,
) -> Sequence[E]:
    """Up to `limit` entities in the order of their names: of one organization, or all within reach.

    Raises:
        Refusal: NOT_FOUND: the parent is out of reach.
    """
    if parent:
        organization(reading, principal, parent)
        return reading.page(kind, parent=parent, state=state, after=after, limit=limit)
    if principal.is_staff:
        return reading.page(kind, state=state, after=after, limit=limit)
    if not principal.organization:
        return ()
    if CHANNEL_PARTNER in principal.roles:
        return reading.page(kind, reach=principal.organization, state=state, after=after, limit=limit)
    if kind is not Organization:
        return reading.page(kind, parent=principal.organization, state=state, after=after, limit=limit)
    own = reading.find(kind, principal.organization)
    fits = own is not None and own.name > after and state in (None, getattr(own, "state", None))
    return (own,) if own is not None and fits else ()


def every(
    reading: Reading, kind: type[E], *, parent: str = "", reach: str = "", state: State | None = None
) -> Iterator[E]:
    """All entities that `Reading.page` would list."""
    after = ""
    while found := reading.page(kind, parent=parent, reach=reach, state=state, after=after, limit=_BATCH):
        yield from found
        after = found[-1].name


def require_own_role(principal: Principal, organization: Organization, own_roles: frozenset[PersonRole]) -> None:
    """Refuse a caller that acts in its own organization without one of these roles there.

    Raises:
        Refusal: PERMISSION_DENIED.
    """
    if not principal.is_staff and principal.organization == organization.name and not principal.roles & own_roles:
        raise denied(Reason.ROLE_MISSING, "the role in the own organization does not allow this")


def require_open(reading: Reading, principal: Principal, organization: Organization) -> None:
    """Refuse where nothing may be made, changed or let begin.

    Under a closed organization that is so whoever asks. It is so for anybody but the operator's staff under one that
    is suspended or comes through a channel partner that is not active, and for whoever acts for such an organization.
    What takes away (suspend, end, retire, remove) is always allowed.

    Raises:
        Refusal: FAILED_PRECONDITION.
    """
    if organization.state is OrganizationState.CLOSED:
        raise blocked(Reason.CUSTOMER_CLOSED, Violation(organization.name, "is closed"))
    if principal.is_staff:
        return
    for name in {organization.name, organization.channel_partner, principal.organization} - {""}:
        concerned = organization if name == organization.name else reading.find(Organization, name)
        if concerned is None or concerned.state is not OrganizationState.ACTIVE:
            reason = Reason.CUSTOMER_SUSPENDED if name == organization.name else Reason.CHANNEL_PARTNER_SUSPENDED
            raise blocked(reason, Violation(name, "is not active"))
