"""People: who acts for an organization, and in which roles."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from number_verification.domain.onboarding.entity import Entity, State


class PersonRole(enum.StrEnum):
    """What a person may do for their organization."""

    BUSINESS_MANAGER = "business-manager"
    """Subscribes to products, sees usage."""
    ADMINISTRATOR = "administrator"
    """Looks after people, applications and keys."""
    USER = "user"
    """Reads."""


class PersonState(State):
    """Whether a person may act."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Entity):
    """One person (or system) that acts for an organization."""

    PATTERN: ClassVar[str] = "organizations/*/people/*"

    display_name: str
    roles: frozenset[PersonRole]
    client_id: str
    """By which they ask for a client-credentials token; given by us, unique among all clients."""
    jwks: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Their public keys as a JWK set (RFC 7517 §5); empty where they have none."""
    certificate_names: frozenset[str] = frozenset()
    """Names in their client certificate, any of which identifies them."""
    state: PersonState = PersonState.ACTIVE
