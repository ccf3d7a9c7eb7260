"""Principals: who calls the internal services, and for whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from number_verification.domain.refusal import Reason

OPERATOR_STAFF = "operator-staff"
CHANNEL_PARTNER = "channel-partner"


class Principal(NamedTuple):
    """A caller of the internal services."""

    name: str
    """The resource name of a person, or the configured name of a service of the operator."""
    roles: frozenset[str]
    """As the contract's access rules name them."""
    organization: str = ""
    """The name of the organization that it acts for; empty for services and staff of the operator."""

    @property
    def is_staff(self) -> bool:
        """Whether it acts for the operator itself."""
        return OPERATOR_STAFF in self.roles


@dataclass(frozen=True, slots=True)
class PrincipalClient:
    """A principal, and how it shows who it is."""

    principal: Principal
    client_id: str
    """By which it asks for a client-credentials token; empty where it has no keys to do so."""
    jwks: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Its public keys as a JWK set (RFC 7517 §5)."""
    jwks_uri: str = ""
    objection: Reason | None = None
    """Why it may do nothing now; None if it may."""


class Principals(Protocol):
    """Where principals are looked up. Those that may do nothing now are found too.

    All methods raise Refusal (UNAVAILABLE, STALE_REGISTRY) where what is known is too old to be relied on.
    """

    def principal(self, client_id: str) -> PrincipalClient | None:
        """The principal with this client id; None if there is none."""
        ...

    def principal_with_certificate(self, names: frozenset[str]) -> PrincipalClient | None:
        """The one principal that a client certificate with these names identifies; None for none or several."""
        ...
