"""Use cases: organizations."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

from number_verification.domain.clock import Milliseconds
from number_verification.domain.onboarding import display_name, reach
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.checks import name_violations
from number_verification.domain.onboarding.organization import Organization, OrganizationKind, OrganizationState
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.refusals import blocked, denied, invalid, refuse_violations
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.steps import (
    CLOSE_ORGANIZATION,
    Step,
    require_changeable,
    require_etag,
    require_step,
    require_unchanged,
)
from number_verification.domain.onboarding.storing import added, replaced
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.domain.refusal import Reason, Violation
from number_verification.registry.store import Reading, Writing

CHANGEABLE = frozenset({"display_name"})

_NAMED = 10
"""How many things that stand in the way are named."""


class OrganizationDraft(NamedTuple):
    """What a caller says of an organization."""

    kind: OrganizationKind | None = None
    display_name: str = ""
    channel_partner: str = ""


def create(
    writing: Writing,
    principal: Principal,
    rules: Rules,
    draft: OrganizationDraft,
    organization_id: str,
    now: Milliseconds,
) -> Organization:
    """Onboard an organization. What a channel partner onboards is a customer that comes through it.

    Raises:
        Refusal: INVALID_ARGUMENT, PERMISSION_DENIED, ALREADY_EXISTS; FAILED_PRECONDITION where the channel partner is
            not active.
    """
    if not principal.is_staff:
        reach.organization(writing, principal, principal.organization)
        if draft.kind is OrganizationKind.CHANNEL_PARTNER:
            raise denied(Reason.ROLE_MISSING, "a channel partner onboards customers only")
        draft = draft._replace(
            kind=OrganizationKind.CUSTOMER, channel_partner=draft.channel_partner or principal.organization
        )
    draft = draft._replace(display_name=display_name.normalized(draft.display_name))
    violations = list(name_violations("organization.displayName", draft.display_name))
    kind = draft.kind
    if kind is None:
        violations.append(Violation("organization.kind", "is required"))
    elif kind is OrganizationKind.CHANNEL_PARTNER and draft.channel_partner:
        violations.append(Violation("organization.channelPartner", "is for customers only"))
    refuse_violations(violations)
    if draft.channel_partner:
        _require_channel_partner(writing, principal, draft.channel_partner)
    organization = Organization(
        name=f"organizations/{organization_id or rules.new_id()}",
        kind=kind or OrganizationKind.CUSTOMER,
        display_name=draft.display_name,
        channel_partner=draft.channel_partner,
    )
    return added(writing, organization, now)


def _require_channel_partner(reading: Reading, principal: Principal, name: str) -> None:
    partner = reading.find(Organization, name)
    if partner is None or not reach.reaches(principal, partner) or partner.kind is not OrganizationKind.CHANNEL_PARTNER:
        raise invalid("organization.channelPartner", "is not a channel partner")
    if partner.state is not OrganizationState.ACTIVE:
        raise blocked(Reason.CHANNEL_PARTNER_SUSPENDED, Violation(partner.name, "is not active"))


def update(
    writing: Writing,
    principal: Principal,
    name: str,
    draft: OrganizationDraft,
    paths: frozenset[str],
    etag: str,
    now: Milliseconds,
) -> Organization:
    """Change the fields of an organization that `paths` names, some of `CHANGEABLE`.

    Raises:
        Refusal: NOT_FOUND, INVALID_ARGUMENT, ABORTED, FAILED_PRECONDITION.
    """
    organization = reach.organization(writing, principal, name)
    require_etag(organization, etag)
    require_unchanged(
        organization__kind=(organization.kind, draft.kind),
        organization__channelPartner=(organization.channel_partner, draft.channel_partner),
    )
    require_changeable(organization.state)
    reach.require_open(writing, principal, organization)
    if "display_name" in paths:
        organization = replace(organization, display_name=display_name.normalized(draft.display_name))
        refuse_violations(name_violations("organization.displayName", organization.display_name))
    return replaced(writing, organization, now)


def go(writing: Writing, principal: Principal, name: str, step: Step, etag: str, now: Milliseconds) -> Organization:
    """Take an organization to another state. A channel partner does so with its customers, not with itself.

    An organization is closed when nothing of it is left that could be served: its subscriptions ended, its
    applications retired, the customers that come through it closed. Its people stay on record.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, ABORTED, FAILED_PRECONDITION.
    """
    organization = reach.organization(writing, principal, name)
    if not principal.is_staff and organization.name == principal.organization:
        raise denied(Reason.ROLE_MISSING, "an organization does not decide on itself")
    require_etag(organization, etag)
    require_step(organization.state, step)
    if step == CLOSE_ORGANIZATION:
        left = tuple(islice(_left(writing, organization), _NAMED))
        if left:
            raise blocked(Reason.NOT_EMPTY, *left)
    return replaced(writing, replace(organization, state=OrganizationState(step.target)), now)


def _left(reading: Reading, organization: Organization) -> Iterator[Violation]:
    for subscription in reach.every(reading, Subscription, parent=organization.name):
        if subscription.state is not SubscriptionState.ENDED:
            yield Violation(subscription.name, "is not ended")
    for application in reach.every(reading, RegisteredApplication, parent=organization.name):
        if application.state is not ApplicationState.RETIRED:
            yield Violation(application.name, "is not retired")
    if organization.kind is OrganizationKind.CHANNEL_PARTNER:
        for customer in reach.every(reading, Organization, reach=organization.name):
            if customer.name != organization.name and customer.state is not OrganizationState.CLOSED:
                yield Violation(customer.name, "is not closed")
