"""Applications: the OAuth clients that call on behalf of their customers, as they stand at this moment."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from number_verification.domain.refusal import Reason


class Flow(enum.StrEnum):
    """The ways in which an application may come by a token."""

    AUTHORIZATION_CODE = "authorization_code"
    CIBA = "ciba"
    JWT_BEARER = "jwt_bearer"


class LegalBasis(enum.StrEnum):
    """What makes processing lawful (GDPR art. 6 (1) a to f)."""

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTEREST = "vital_interest"
    PUBLIC_INTEREST = "public_interest"
    LEGITIMATE_INTEREST = "legitimate_interest"


class Limits(NamedTuple):
    """How many tokens an application may be given. 0 stands for no limit."""

    rate: float = 0
    """Tokens a second that are refilled."""
    burst: int = 0
    """Tokens that may be had at once; at least 1 where there is a rate."""
    daily_quota: int = 0
    """Tokens a day (UTC)."""
    monthly_quota: int = 0
    """Tokens a month (UTC)."""


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Application:
    """One application: its registration, its customer, and the plan it is served on, taken together."""

    client_id: str
    name: str
    """Its resource name: `organizations/*/applications/*`."""
    customer: str
    """The name of the organization that owns it."""
    channel_partner: str
    """The name of the channel partner that the customer comes through; empty for none."""
    jwks: Mapping[str, Any] = field(repr=False)
    """Its public keys as a JWK set (RFC 7517 §5); empty where `jwks_uri` is set."""
    jwks_uri: str
    redirect_uris: frozenset[str]
    """Compared by exact match (RFC 9700 §2.1)."""
    flows: frozenset[Flow]
    scopes: frozenset[str]
    """The scopes it may ask for, the purposes (`dpv:…`) among them: what it registered, as far as its plan has it."""
    legal_bases: Mapping[str, LegalBasis]
    """What makes the processing lawful, by purpose."""
    requires_signed_request: bool = False
    requires_dpop: bool = False
    limits: Limits = NO_LIMITS
    objection: Reason | None = None
    """Why it may not be served now; None if it may."""


class Applications(Protocol):
    """Where applications are looked up."""

    def find(self, client_id: str) -> Application | None:
        """The application with this client id, also one that may not be served; None if there is none.

        Raises:
            Refusal: UNAVAILABLE, STALE_REGISTRY: what is known is too old to be relied on.
        """
        ...
