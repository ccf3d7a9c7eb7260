"""Applications as they are registered. What one may do at this moment is `domain.application.Application`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from number_verification.domain.application import Flow, LegalBasis
from number_verification.domain.onboarding.entity import Entity, State


class ApplicationState(State):
    """The life of an application."""

    REGISTERED = "registered"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredApplication(Entity):
    """One application, owned by a customer."""

    PATTERN: ClassVar[str] = "organizations/*/applications/*"

    display_name: str
    client_id: str
    """Given by us, unique among all clients."""
    jwks: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Its public keys as a JWK set (RFC 7517 §5); empty where `jwks_uri` is set."""
    jwks_uri: str = ""
    """Where it publishes its keys; empty where `jwks` is set."""
    redirect_uris: frozenset[str] = frozenset()
    flows: frozenset[Flow] = frozenset({Flow.AUTHORIZATION_CODE})
    scopes: frozenset[str] = frozenset()
    """What it may ask for, without purposes: scopes of products, and `openid`."""
    purposes: Mapping[str, LegalBasis] = field(default_factory=dict)
    """The purposes (`dpv:…`) that it may name, each with what makes the processing lawful."""
    requires_signed_request: bool = False
    requires_dpop: bool = False
    state: ApplicationState = ApplicationState.REGISTERED
