"""Applications: the OAuth clients that call on behalf of their customers."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class ApplicationStatus(enum.StrEnum):
    """Whether an application may be served."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Application:
    """One application that was onboarded."""

    client_id: str
    name: str
    jwks: Mapping[str, Any] = field(repr=False)
    """Its public keys as a JWK set (RFC 7517 §5)."""
    redirect_uris: frozenset[str]
    """Compared by exact match (RFC 9700 §2.1)."""
    scopes: frozenset[str]
    """The scopes it may ask for, the purposes (`dpv:…`) among them."""
    status: ApplicationStatus = ApplicationStatus.ACTIVE

    @property
    def is_active(self) -> bool:
        """Whether it may be served now."""
        return self.status is ApplicationStatus.ACTIVE


class Applications(Protocol):
    """Where applications are looked up."""

    def find(self, client_id: str) -> Application | None:
        """The application with this client id, suspended ones included; None if there is none."""
        ...
