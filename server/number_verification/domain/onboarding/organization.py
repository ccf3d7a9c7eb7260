"""Organizations: customers, and the channel partners (aggregators) through which some of them come."""

import enum
from dataclasses import dataclass
from typing import ClassVar

from number_verification.domain.onboarding.entity import Entity, State


class OrganizationKind(enum.StrEnum):
    """What an organization is to the operator."""

    CUSTOMER = "customer"
    """An application service provider."""
    CHANNEL_PARTNER = "channel_partner"
    """An aggregator that brings customers of its own."""


class OrganizationState(State):
    """Whether an organization may be served."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization(Entity):
    """One organization that was onboarded."""

    PATTERN: ClassVar[str] = "organizations/*"

    kind: OrganizationKind
    display_name: str
    channel_partner: str = ""
    """The name of the channel partner that a customer comes through; empty for one that came directly."""
    state: OrganizationState = OrganizationState.ACTIVE
